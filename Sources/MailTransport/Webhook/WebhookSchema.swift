// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailJob
import MailWire

/// The kind `webhook`: docs/protocol.md § Fields of a webhook.
package struct WebhookSchema: JobSchema {
    package static let type = "webhook"
    package var type: String { Self.type }

    /// Those that a job may name.
    private let hooks: [String]

    package init(hooks: [String]) { self.hooks = hooks }

    package func check(
        _ line: UnsafeRawBufferPointer, _ members: [JSONMember], limits: JobLimits
    ) throws(WireError) -> Int {
        var seen: Set<String> = []
        for member in members {
            let name = member.keyString(in: line)
            try check(member, name, line)
            seen.insert(name)
        }
        if !seen.contains("url"), !seen.contains("hook") {
            throw .invalid("url", "missing, and hook too: one is needed", in: line)
        }
        if seen.contains("url"), seen.contains("hook") { throw .invalid("hook", "excludes url", in: line) }
        if !seen.contains("body") { throw .invalid("body", "missing", in: line) }
        return 1
    }

    private func check(_ member: JSONMember, _ name: String, _ line: UnsafeRawBufferPointer) throws(WireError) {
        switch name {
        case "url": try checkURL(member, line)
        case "hook":
            guard let hook = member.string(in: line), hooks.contains(hook) else {
                throw .mustBe("the NAME of a [webhook.NAME]", "hook", member, in: line)
            }
        case "method":
            guard let method = member.string(in: line), WebhookFields.methods.contains(method) else {
                throw .mustBe("POST or PUT", "method", member, in: line)
            }
        case "headers": try WebhookHeaders.check(member, in: line)
        case "body":
            guard member.value.count <= Limits.webhookBodyBytesMax else {
                throw .invalid("body", "has over \(Limits.webhookBodyBytesMax) bytes", in: line)
            }
        default: throw .invalid(WireError.shown(member.key, in: line), "unknown field", in: line)
        }
    }

    private func checkURL(_ member: JSONMember, _ line: UnsafeRawBufferPointer) throws(WireError) {
        guard let text = member.string(in: line) else { throw .mustBe("a string", "url", member, in: line) }
        do throws(WebURLError) {
            _ = try WebURL(parsing: text)
        } catch {
            // Without the value: a URL may be a secret, and the answer goes into the app's log.
            throw .invalid("url", error.reason, in: line)
        }
    }

    package func heading(_ job: JSONValue) -> JobHeading {
        var heading = JobHeading()
        let url = job["url"]?.string.flatMap { try? WebURL(parsing: $0) }
        heading.recipients = [url?.origin ?? job["hook"]?.string].compactMap { $0 }
        return heading
    }
}

/// Which header fields a job may set.
enum WebhookHeaders {
    /// RFC 9112 §6 and RFC 9110 §7: of the connection and the message's length, which are ours.
    private static let forbidden: Set<String> = [
        "host", "content-length", "transfer-encoding", "connection", "keep-alive", "te", "trailer", "upgrade",
        "expect", "proxy-authorization", "proxy-connection",
    ]

    static func check(_ member: JSONMember, in line: UnsafeRawBufferPointer) throws(WireError) {
        guard member.kind == .object else { throw .mustBe("an object of strings", "headers", member, in: line) }
        var seen: Set<String> = []
        for element in member.elements(in: line) {
            let name = element.keyString(in: line)
            // RFC 9110 §5.6.2
            guard (1...Limits.headerNameBytesMax).contains(name.utf8.count), name.utf8.allSatisfy(isTokenCharacter)
            else {
                throw .invalid(
                    "headers",
                    "\"\(KeptText.line(name.utf8, keeping: .beginning, bytesMax: 80))\" is no name of a header field",
                    in: line)
            }
            let place = "headers.\(name)"
            if forbidden.contains(name.lowercased()) {
                throw .invalid(place, "not allowed in headers: maild sets it", in: line)
            }
            guard seen.insert(name.lowercased()).inserted else { throw .invalid(place, "given twice", in: line) }
            guard seen.count <= Limits.headersMax else {
                throw .invalid("headers", "more than \(Limits.headersMax) fields", in: line)
            }
            guard let value = element.string(in: line) else { throw .mustBe("a string", place, element, in: line) }
            try check(value, place, in: line)
        }
    }

    /// RFC 9110 §5.5: a line break would begin a field that nobody allowed.
    private static func check(
        _ value: String, _ place: String, in line: UnsafeRawBufferPointer
    ) throws(WireError) {
        guard value.utf8.allSatisfy({ 0x20...0x7E ~= $0 || $0 == 0x09 }) else {
            throw .invalid(place, "must be ASCII without control characters", in: line)
        }
        guard value.utf8.count <= Limits.headerValueBytesMax else {
            throw .invalid(place, "has over \(Limits.headerValueBytesMax) bytes", in: line)
        }
    }

    private static func isTokenCharacter(_ byte: UInt8) -> Bool {
        ASCII.isAlphanumeric(byte) || "!#$%&'*+-.^_`|~".utf8.contains(byte)
    }
}
