// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailJob
import MailWire
import Testing

private func limits(_ change: (inout JobLimits) -> Void) -> JobLimits {
    var limits = JobLimits(queues: ["default": 0, "bulk": 3])
    change(&limits)
    return limits
}

private let shop = limits {
    $0.senders = SenderRule(
        app: "shop", senders: ["app@example.org", "@shop.example", "*.shop.example"].compactMap { SenderPattern($0) })
}

/// Nil where the line is taken.
private func refusal(_ line: String, _ limits: JobLimits) -> WireError? {
    var reader = JobReader(schemas: [EmailSchema()], limits: JobLimits())
    do throws(WireError) {
        _ = try withBytes(line) { (bytes) throws(WireError) in try reader.read(bytes, now: noon, limits: limits) }
        return nil
    } catch {
        return error
    }
}

private func mail(from: String, more: String = "") -> String { #"{"to":"a@example.com","from":"\#(from)"\#(more)}"# }

private func raw(_ header: String, envelope: String = "app@example.org") -> String {
    #"{"envelope":{"from":"\#(envelope)","to":["a@example.com"]},"raw":"\#(header)\r\n\r\nFrom: evil@example.net"}"#
}

@Suite("From whom an app may send")
struct SenderRuleTests {
    static let allowed: [String] = [
        mail(from: "app@example.org"), mail(from: "Shop <orders@shop.example>"), mail(from: "x@eu.Shop.Example"),
        mail(from: "app@example.org", more: #","envelope":{"from":"bounces@shop.example"}"#),
        mail(from: "app@example.org", more: #","envelope":{"from":"","to":["b@example.com"]}"#),
        mail(from: "app@example.org", more: #","reply_to":"anybody@example.net""#),
        raw("From: app@example.org"), raw(#"Subject: hi\r\nFROM : =?utf-8?q?S?= <app@example.org>"#),
        raw(#"From:\r\n Shop\r\n\t<app@example.org>\nSender: x@shop.example"#),
        raw("From: app@example.org", envelope: ""),
    ]

    @Test("senders that are the app's are taken", arguments: allowed)
    func allows(_ line: String) { #expect(refusal(line, shop) == nil) }

    private static func not(_ address: String) -> String { "\"\(address)\" is none of the senders of app shop" }

    static let refused: [(String, String, String)] = [
        (mail(from: "app@example.net"), "from", not("app@example.net")),
        (mail(from: "App@example.org"), "from", not("App@example.org")),
        (mail(from: "app@example.org <ceo@example.net>"), "from", not("ceo@example.net")),
        (
            mail(from: "app@example.org", more: #","envelope":{"from":"ceo@example.net"}"#), "envelope.from",
            not("ceo@example.net")
        ),
        (raw("From: ceo@example.net"), "raw", not("ceo@example.net")),
        (raw("From: app@example.org", envelope: "ceo@example.net"), "envelope.from", not("ceo@example.net")),
        (raw(#"From: app@example.org\r\nfrom: ceo@example.net"#), "raw", "must have one From field, not 2"),
        (raw("Subject: hi"), "raw", "must have one From field, not 0"),
        (raw(#"Subject: hi\r\n From: app@example.org"#), "raw", "must have one From field, not 0"),
        (raw("From: app@example.org, ceo@example.net"), "raw", "is not one address (from)"),
        (raw(#"From: app@example.org\r\nSender: ceo@example.net"#), "raw", not("ceo@example.net")),
        (raw(#"From: app@example.org\r\nResent-From: ceo@example.net"#), "raw", not("ceo@example.net")),
        (raw(#"From: app@example.org\rFrom: ceo@example.net"#), "raw", "must have one From field, not 2"),
        (raw(#"From: ceo@example.net (app@example.org)"#), "raw", "example.net"),
    ]

    @Test("any other is refused for good, with the field to blame", arguments: refused)
    func refuses(_ line: String, _ field: String, _ reason: String) throws {
        let error = try #require(refusal(line, shop))
        #expect(error.name == .permissionDenied && error.field == field && !error.retryable, "\(error.message)")
        #expect(error.message.hasPrefix("\(field): ") && error.message.contains(reason), "\(error.message)")
        #expect(error.name.exitCode == 77)
    }

    @Test("a header that is longer than anybody's is not searched to its end")
    func longHeader() {
        let long = #"X: y\r\n"# + String(repeating: #" yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy\r\n"#, count: 8000)
        #expect(refusal(raw(long + "From: app@example.org"), shop)?.message.contains("over 262144 bytes") == true)
    }

    @Test("without a rule anybody's mail may be sent, with an empty one nobody's")
    func bounds() {
        #expect(refusal(mail(from: "ceo@example.net"), limits { _ in }) == nil)
        let none = limits { $0.senders = SenderRule(app: "mute", senders: []) }
        #expect(refusal(mail(from: "app@example.org"), none)?.name == .permissionDenied)
    }
}

@Suite("What an app may ask for")
struct AppLimitsTests {
    private func read(_ fields: String, _ limits: JobLimits) throws(WireError) -> JobLine {
        var reader = JobReader(schemas: [EmailSchema()], limits: JobLimits())
        return try withBytes(job(fields)) { (bytes) throws(WireError) in
            try reader.read(bytes, now: noon, limits: limits)
        }
    }

    @Test("a priority above the app's is refused; the default is never above it")
    func priority() throws {
        let low = limits { $0.priorityMax = 2 }
        #expect(try read("", low).priority == 2)
        #expect(try read(#""priority":2"#, low).priority == 2)
        #expect(try read(#""priority":0"#, low).priority == 0)
        let expected = WireError(.permissionDenied, "priority: may be 2 at most, not 3", field: "priority")
        #expect(throws: expected) { try read(#""priority":3"#, low) }
        #expect(throws: WireError.self) { try read(#""priority":10"#, low) }
    }

    @Test("a job that names no queue goes into the app's")
    func queue() throws {
        let bulk = limits { $0.queueDefault = 3 }
        #expect(try read("", bulk).queue == 3)
        #expect(try read(#""queue":"default""#, bulk).queue == 0)
    }
}
