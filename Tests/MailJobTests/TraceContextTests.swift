// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailJob
import Testing

@Suite("Trace context") struct TraceContextTests {
    private static let parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"

    @Test("its parts are told, and what was given is handed on as it was")
    func parts() throws {
        let trace = try #require(TraceContext(parent: Self.parent.utf8, state: "a=1"))
        #expect(trace.traceID == "0af7651916cd43dd8448eb211c80319c")
        #expect(trace.spanID == "b7ad6b7169203331")
        #expect(trace.fields.map(\.name) == ["traceparent", "tracestate"])
        #expect(trace.fields.map(\.value) == [Self.parent, "a=1"])
        #expect(TraceContext(parent: Self.parent.utf8)?.fields.count == 1)
    }

    @Test(
        "what is no traceparent of version 00 is none",
        arguments: [
            "", "00", "01-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319g-b7ad6b7169203331-01",
            "00-00000000000000000000000000000000-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-1",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-0x",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-",
            "00_0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c_b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01\r\nBcc: x@y",
            " 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        ])
    func parents(text: String) { #expect(TraceContext(parent: text.utf8) == nil) }

    @Test(
        "a tracestate is a list of members",
        arguments: [
            ("rojo=00f067aa0ba902b7,congo=t61rcWkgMzE", true), ("a=1 , b=2", true),
            ("fw529a3039@dt=FfbJWe;0*/-_", true),
            ("a=1,a=2", false), ("", false), ("a", false), ("=1", false), ("a=", false), ("A=1", false),
            ("a=1,", false), ("a=b=c", false), ("a=\u{7f}", false), ("a=1\r\nBcc: x@y", false), ("a@b@c=1", false),
            ("@a=1", false), ("a=é", false),
        ])
    func states(text: String, isOne: Bool) { #expect(TraceContext.isState(text.utf8) == isOne) }

    @Test("a tracestate has at most 32 members and 512 bytes")
    func bounds() {
        func members(_ count: Int) -> String { (0..<count).map { "k\($0)=v" }.joined(separator: ",") }
        #expect(TraceContext.isState(members(32).utf8))
        #expect(!TraceContext.isState(members(33).utf8))
        let long = "a=" + String(repeating: "x", count: 254)
        #expect(TraceContext.isState("\(long),b=\(String(repeating: "y", count: 253))".utf8))
        #expect(!TraceContext.isState("\(long),b=\(String(repeating: "y", count: 254))".utf8))
    }
}
