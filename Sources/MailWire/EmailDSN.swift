// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailJob

/// The field `dsn`: what the sender wants to hear from the servers on the way (RFC 3461).
enum EmailDSN {
    /// Reads it, and judges it: on arrival and again at each attempt.
    static func read(_ member: JSONMember, in line: UnsafeRawBufferPointer) throws(WireError) -> DSNRequest {
        guard member.kind == .object else { throw .mustBe("an object", "dsn", member, in: line) }
        var request = DSNRequest()
        for element in member.elements(in: line) {
            if element.hasKey("notify", in: line) {
                request.notify = try occasions(element, in: line)
            } else if element.hasKey("ret", in: line) {
                request.content = try content(element, in: line)
            } else if element.hasKey("envid", in: line) {
                request.envelopeID = try envelopeID(element, in: line)
            } else {
                throw .invalid("dsn.\(WireError.shown(element.key, in: line))", "unknown field", in: line)
            }
        }
        return request
    }

    private static func occasions(
        _ member: JSONMember, in line: UnsafeRawBufferPointer
    ) throws(WireError) -> DSNRequest.Occasions {
        let wanted = "\"never\", or a list of \"success\", \"failure\" and \"delay\""
        if member.kind == .string {
            guard member.string(in: line) == "never" else { throw .mustBe(wanted, "dsn.notify", member, in: line) }
            return []
        }
        guard member.kind == .array else { throw .mustBe(wanted, "dsn.notify", member, in: line) }
        var occasions: DSNRequest.Occasions = []
        for element in member.elements(in: line) {
            switch element.string(in: line) {
            case "success": occasions.insert(.success)
            case "failure": occasions.insert(.failure)
            case "delay": occasions.insert(.delay)
            // RFC 3461 §4.1: NEVER must appear by itself.
            case "never": throw .invalid("dsn.notify", "\"never\" stands alone, and in no list", in: line)
            default: throw .mustBe(wanted, "dsn.notify", element, in: line)
            }
        }
        guard !occasions.isEmpty else { throw .invalid("dsn.notify", "the list is empty", in: line) }
        return occasions
    }

    private static func content(
        _ member: JSONMember, in line: UnsafeRawBufferPointer
    ) throws(WireError) -> DSNRequest.Content {
        guard let content = member.string(in: line).flatMap(DSNRequest.Content.init) else {
            throw .mustBe("\"full\" or \"headers\"", "dsn.ret", member, in: line)
        }
        return content
    }

    private static func envelopeID(
        _ member: JSONMember, in line: UnsafeRawBufferPointer
    ) throws(WireError) -> String {
        guard let id = member.string(in: line) else { throw .mustBe("a string", "dsn.envid", member, in: line) }
        // RFC 3461 §4.4.
        guard !id.isEmpty, id.utf8.allSatisfy({ $0 >= 0x20 && $0 < 0x7F }) else {
            throw .invalid("dsn.envid", "must be printable ASCII, and not empty", in: line)
        }
        let length = Xtext.encode(id).utf8.count
        guard length <= Limits.envelopeIDBytesMax else {
            let most = Limits.envelopeIDBytesMax
            throw .invalid("dsn.envid", "has \(length) characters as xtext (RFC 3461), and \(most) at most", in: line)
        }
        return id
    }
}
