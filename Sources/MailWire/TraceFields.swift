// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import Glibc
import MailJob

/// The fields `traceparent` and `tracestate` of a line.
extension TraceContext {
    /// - Throws: what is wrong with which of the two.
    static func check(
        _ parent: JSONMember?, _ state: JSONMember?, in line: UnsafeRawBufferPointer
    ) throws(WireError) -> TraceContext? {
        guard let parent else {
            if state != nil { throw .invalid("tracestate", "needs traceparent", in: line) }
            return nil
        }
        let text = try state.map { state throws(WireError) in try checkState(state, in: line) }
        guard let context = TraceContext(parent: parent.bytes(in: line) ?? [], state: text) else {
            let reason = "must be as \"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01\""
            throw .invalid("traceparent", reason, not: parent.value, in: line)
        }
        return context
    }

    private static func checkState(
        _ state: JSONMember, in line: UnsafeRawBufferPointer
    ) throws(WireError) -> String {
        guard let bytes = state.bytes(in: line), isState(bytes) else {
            let reason = "must be 1 to 32 members \"key=value\" with commas between them, in \(stateBytesMax) bytes"
            throw .invalid("tracestate", reason, not: state.value, in: line)
        }
        return String(decoding: bytes, as: UTF8.self)
    }

    /// Of a line that was taken; nil where it has none. Costs next to nothing then: most lines have none.
    package init?(of line: UnsafeRawBufferPointer) {
        guard Self.isNamed(in: line) else { return nil }
        var scanner = JSONScanner()
        var members: [JSONMember] = []
        guard (try? scanner.members(of: line, into: &members)) != nil else { return nil }
        let parent = members.first { $0.hasKey("traceparent", in: line) }
        let state = members.first { $0.hasKey("tracestate", in: line) }
        guard let context = try? Self.check(parent, state, in: line) else { return nil }
        self = context
    }

    /// The name stands somewhere in the line, or something is written so that it may be the name (RFC 8259 §7).
    private static func isNamed(in line: UnsafeRawBufferPointer) -> Bool {
        holds("\"traceparent\"", line) || holds("\\u00", line)
    }

    private static func holds(_ text: StaticString, _ line: UnsafeRawBufferPointer) -> Bool {
        guard let base = line.baseAddress else { return false }
        let (first, count) = (CInt(text.utf8Start[0]), text.utf8CodeUnitCount)
        var place = 0
        while place + count <= line.count, let found = memchr(base + place, first, line.count - place - count + 1) {
            if memcmp(found, text.utf8Start, count) == 0 { return true }
            place = UnsafeRawPointer(found) - base + 1
        }
        return false
    }
}
