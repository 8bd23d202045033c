// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailTransport
import Testing

@Suite("A table of routes")
struct RouteTableTests {
    /// 0: mail of one sender, 1: mail to one partner and all below another, 2: both at once, 3: the rest.
    static let table = RouteTable(
        routes: [
            .init(senders: DomainSet(["News.example"]), recipients: DomainSet(["partner.example"]), relays: [2, 3]),
            .init(senders: DomainSet(["news.example"]), relays: [0]),
            .init(recipients: DomainSet(["partner.example", "*.big.example"]), relays: [1, 3]),
        ], fallback: [3])

    struct Case: Sendable {
        var sender: String
        var recipient: String
        var relays: [Int]
    }

    static let cases = [
        Case(sender: "a@news.example", recipient: "b@x.example", relays: [0]),
        Case(sender: "a@NEWS.Example", recipient: "b@x.example", relays: [0]),
        Case(sender: "a@news.example", recipient: "b@partner.example", relays: [2, 3]),
        Case(sender: "a@x.example", recipient: "b@Partner.Example", relays: [1, 3]),
        Case(sender: "a@x.example", recipient: "b@sub.partner.example", relays: [3]),
        Case(sender: "a@x.example", recipient: "b@a.big.example", relays: [1, 3]),
        Case(sender: "a@x.example", recipient: "b@c.a.big.example", relays: [1, 3]),
        // The star stands for at least one label, as in a certificate's name.
        Case(sender: "a@x.example", recipient: "b@big.example", relays: [3]),
        Case(sender: "a@x.example", recipient: "b@nobig.example", relays: [3]),
        Case(sender: "a@x.example", recipient: "b@x.example", relays: [3]),
        Case(sender: "", recipient: "b@x.example", relays: [3]),
        Case(sender: "", recipient: "b@partner.example", relays: [1, 3]),
        Case(sender: "\"a@news.example\"@x.example", recipient: "b@x.example", relays: [3]),
        Case(sender: "a@x.example", recipient: "nobody", relays: [3]),
    ]

    @Test("the first route whose conditions hold takes the recipient, else the default", arguments: cases)
    func routes(_ one: Case) {
        let shares = Self.table.shares(sender: one.sender, recipients: [one.recipient])
        #expect(shares == [.init(relays: one.relays, recipients: [0])])
    }

    @Test("a mail is parted by its recipients' routes, each once and in order")
    func parts() {
        let recipients = ["a@x.example", "b@partner.example", "c@x.example", "d@z.big.example", "e@y.example"]
        let shares = Self.table.shares(sender: "me@example.org", recipients: recipients)
        #expect(shares == [.init(relays: [3], recipients: [0, 2, 4]), .init(relays: [1, 3], recipients: [1, 3])])
    }

    @Test("without routes all goes the default way")
    func plain() {
        let shares = RouteTable(routes: [], fallback: [1, 0]).shares(sender: "", recipients: ["a@b", "c@d"])
        #expect(shares == [.init(relays: [1, 0], recipients: [0, 1])])
        #expect(Self.table.shares(sender: "a@b", recipients: []).isEmpty)
    }
}
