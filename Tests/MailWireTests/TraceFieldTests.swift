// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailJob
import MailWire
import Testing

@Suite("traceparent and tracestate") struct TraceFieldTests {
    private static let parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"

    private func found(_ fields: String) -> TraceContext? { withBytes(job(fields)) { TraceContext(of: $0) } }

    @Test(
        "a line that names a trace is known by it, however the field is written",
        arguments: [
            #""traceparent":"\#(parent)""#, #""trace\u0070arent":"\#(parent)""#,
            #""traceparent":"\u0030\u0030\#(parent.dropFirst(2))""#,
        ])
    func traced(fields: String) throws {
        #expect(try read(job(fields)).isTraced)
        #expect(found(fields) == TraceContext(parent: Self.parent.utf8))
    }

    @Test("the state goes with it")
    func state() throws {
        let fields = #""tracestate":"a=1,b=2","traceparent":"\#(Self.parent)""#
        #expect(try read(job(fields)).isTraced)
        #expect(found(fields)?.state == "a=1,b=2")
    }

    @Test(
        "what merely mentions a trace belongs to none",
        arguments: [
            "", #""subject":"traceparent""#, #""headers":{"traceparent":"\#(parent)"}"#, #""content":"a\u00e9""#,
            #""content":"\"traceparent\":\"\#(parent)\"""#,
        ])
    func untraced(fields: String) throws {
        #expect(try !read(job(fields)).isTraced)
        #expect(found(fields) == nil)
    }

    @Test(
        "anything else is refused by the field's name",
        arguments: [
            (#""traceparent":"""#, "traceparent"), (#""traceparent":1"#, "traceparent"),
            (#""traceparent":null"#, "traceparent"), (#""traceparent":"\#(parent)\r\nX: y""#, "traceparent"),
            (#""traceparent":"\#(parent)","tracestate":"""#, "tracestate"),
            (#""traceparent":"\#(parent)","tracestate":["a=1"]"#, "tracestate"),
            (#""tracestate":"a=1""#, "tracestate"),
        ])
    func refused(fields: String, field: String) {
        let error = refusal(job(fields))
        #expect(error?.name == .invalidJob && error?.field == field)
    }

    @Test("a repeat of an idempotency key may come in another span")
    func repeats() throws {
        let other = "00-0af7651916cd43dd8448eb211c80319c-00f067aa0ba902b7-01"
        let traces = ["", #","traceparent":"\#(Self.parent)""#, #","traceparent":"\#(other)","tracestate":"a=1""#]
        let keys = try traces.map { try read(job(#""idempotency_key":"k"\#($0)"#)).key }
        #expect(keys[0] != nil && Set(keys.map { $0?.digest }).count == 1)
    }
}
