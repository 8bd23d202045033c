// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailJob
import Testing

@Suite("Addresses from which an app may send")
struct SenderPatternTests {
    static let matches: [(String, [String], [String])] = [
        (
            "app@example.org", ["app@example.org", "app@EXAMPLE.ORG", "App <app@example.org>"],
            ["App@example.org", "ap@example.org", "app@sub.example.org", "app@example.org.evil.example"]
        ),
        ("@example.org", ["app@example.org", "x.y@Example.Org"], ["app@sub.example.org", "app@notexample.org"]),
        ("*.example.org", ["a@sub.example.org", "a@x.sub.EXAMPLE.org"], ["a@example.org", "a@subexample.org"]),
        ("@bücher.example", ["a@bücher.example", "a@xn--bcher-kva.example"], ["a@bucher.example"]),
        ("\"a b\"@example.org", ["\"a b\"@example.org"], ["ab@example.org"]),
    ]

    @Test("each form takes what it says and nothing beside it", arguments: matches)
    func form(_ text: String, _ inside: [String], _ outside: [String]) throws {
        let pattern = try #require(SenderPattern(text))
        for address in inside { #expect(pattern.matches(try Mailbox(parsing: address)), "\(address)") }
        for address in outside { #expect(!pattern.matches(try Mailbox(parsing: address)), "\(address)") }
    }

    @Test(
        "what is none of the forms is none",
        arguments: [
            "", "@", "*.", "*", "example.org", "app@", "@exa mple.org", "*@example.org", "App <app@example.org>",
            "*.*.example.org", "@-a.example", "a@b@c",
        ])
    func none(_ text: String) { #expect(SenderPattern(text) == nil) }
}

@Suite("Who is which app")
struct AppsTests {
    private func app(_ name: String, users: Set<UInt32> = [], groups: Set<UInt32> = []) -> App {
        var app = App(name: name)
        (app.users, app.groups) = (users, groups)
        return app
    }

    @Test("a user's own app goes before one of a group, and of two groups the first app takes him")
    func order() {
        let apps = Apps([app("a", groups: [50, 60]), app("b", users: [1], groups: [70]), app("c", groups: [80])])
        #expect(apps.app(user: 1, groups: [50]).name == "b")
        #expect(apps.app(user: 2, groups: [80, 60]).name == "a")
        #expect(apps.app(user: 2, groups: [80, 70]).name == "b")
        #expect(apps.app(user: 2, groups: [90]).name == "other")
        #expect(apps.app(user: 50, groups: []).name == "other", "a number of a group is none of a user")
        #expect(apps.names == ["a", "b", "c", "other"] && apps.haveGroups)
    }

    @Test("whoever is none has the rules of other, where there are any")
    func other() {
        var other = app("other")
        other.quota.jobsMax = 7
        let apps = Apps([app("a", users: [1]), other])
        #expect(apps.app(user: 2, groups: []).quota.jobsMax == 7)
        #expect(apps.app(user: 1, groups: []).quota.jobsMax == nil)
        #expect(apps.names == ["a", "other"] && !apps.isEmpty && !apps.haveGroups)
        #expect(Apps().isEmpty && !Apps([other]).isEmpty)
        #expect(Apps().app(user: 0, groups: [0]) == .other)
    }

    @Test("who is an app by a group is remembered by his number, and what is no news is not told again")
    func members() {
        let apps = Apps([app("a", users: [1], groups: [50])])
        let a = apps.app(user: 2, groups: [50])
        #expect(apps.name(of: 2) == "other")
        #expect(apps.note(2, is: a) && !apps.note(2, is: a))
        #expect(apps.name(of: 2) == "a" && apps.isUser(2, of: "a"))
        #expect(!apps.note(1, is: a) && apps.name(of: 1) == "a", "his own app needs no memory")
        #expect(!apps.note(3, is: .other), "nor does who is none")
        #expect(apps.note(2, is: .other) && apps.name(of: 2) == "other", "but for one who was one")
    }

    @Test("what the spool has kept is known after a restart, as long as there is such an app")
    func remembered() {
        let apps = Apps([app("a", groups: [50])])
        apps.remember([Apps.fact(of: 2): "a", Apps.fact(of: 3): "gone", "workers": "8 8", "app.x": "a"])
        #expect(apps.name(of: 2) == "a" && apps.name(of: 3) == "other")
        apps.replace([app("b", users: [2])])
        #expect(apps.name(of: 2) == "b")
        apps.replace([])
        #expect(apps.name(of: 2) == "other")
    }
}
