// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailJob
import MailMessage
import Testing

@Suite("The trace in a message's header") struct TraceHeaderTests {
    private static let parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"

    private func prepended(_ text: String, state: String? = nil) throws -> String {
        var message = try MessageComposer.pass(
            raw: Array("From: a@b\r\n".utf8), date: mondayMorning, messageID: sampleMessageID)
        message.bytes = Array(text.utf8)
        message.prepend(try #require(TraceContext(parent: Self.parent.utf8, state: state)))
        return String(decoding: message.bytes, as: UTF8.self)
    }

    @Test("it stands before all other fields", arguments: ["From: a@b\r\n\r\ntext\r\n", "From: a@b\r\n"])
    func first(text: String) throws {
        #expect(try prepended(text) == "traceparent: \(Self.parent)\r\n\(text)")
        #expect(try prepended(text, state: "a=1") == "traceparent: \(Self.parent)\r\ntracestate: a=1\r\n\(text)")
    }

    @Test("a field of the app's own stays alone", arguments: ["traceparent: x", "TraceParent:x", "TRACESTATE: a=1"])
    func own(field: String) throws {
        let text = "From: a@b\r\n\(field)\r\n\r\ntext\r\n"
        #expect(try prepended(text) == text)
    }

    @Test("what looks like one in the body, or in a longer name, is none")
    func body() throws {
        for text in ["From: a@b\r\n\r\ntraceparent: x\r\n", "X-traceparent: x\r\n\r\n", "traceparents: x\r\n\r\n"] {
            #expect(try prepended(text).hasPrefix("traceparent: 00-"))
        }
    }
}
