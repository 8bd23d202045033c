// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailJob
import MailWire
import NIOCore
import NIOHTTP1

/// A webhook's fields, for its request.
struct WebhookFields {
    static let methods = ["POST", "PUT"]

    private(set) var url: String?
    private(set) var hook: String?
    private(set) var method = HTTPMethod.POST
    private(set) var headers = HTTPHeaders()
    /// The JSON as it stands in the line.
    private(set) var body = ByteBuffer()
    private(set) var ref: String?

    /// Of a line that the schema has let pass; an error means that the spool's bytes were changed.
    init(_ line: ByteBuffer) throws(WireError) {
        var bodyRange: Range<Int>?
        let outcome = line.withUnsafeReadableBytes { bytes in
            Result { () throws(WireError) in try read(bytes, &bodyRange) }
        }
        try outcome.get()
        if let range = bodyRange {
            body = line.getSlice(at: line.readerIndex + range.lowerBound, length: range.count) ?? ByteBuffer()
        }
    }

    private mutating func read(_ line: UnsafeRawBufferPointer, _ body: inout Range<Int>?) throws(WireError) {
        var scanner = JSONScanner()
        var members: [JSONMember] = []
        do { try scanner.members(of: line, into: &members) } catch { throw WireError(error) }
        for member in members {
            switch member.keyString(in: line) {
            case "url": url = member.string(in: line)
            case "hook": hook = member.string(in: line)
            case "method": method = HTTPMethod(rawValue: member.string(in: line) ?? "POST")
            case "body": body = member.value
            case "ref": ref = member.string(in: line)
            case "headers":
                for element in member.elements(in: line) {
                    headers.add(name: element.keyString(in: line), value: element.string(in: line) ?? "")
                }
            default: break
            }
        }
    }
}
