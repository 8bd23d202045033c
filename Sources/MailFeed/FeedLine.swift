// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import Crypto
import MailJob
import MailWire

/// A message's body made into a line for maild: on one line, with the idempotency key of its identity upstream.
package struct FeedLine: Equatable, Sendable {
    /// With its newline.
    package var bytes: [UInt8]
    /// The job's own, for the event of its outcome.
    package var ref: JSONValue?
    package var tags: JSONValue?
}

/// Makes lines; keeps its scratch memory from one to the next.
package struct FeedLineMaker {
    private let kind: String
    private let keepsMarks: Bool
    private var scanner = JSONScanner()
    private var members: [JSONMember] = []
    private var key: [UInt8] = []

    /// - Parameter keepsMarks: ref and tags will be wanted.
    package init(kind: String, keepsMarks: Bool) {
        self.kind = kind
        self.keepsMarks = keepsMarks
    }

    /// Throws where the body is not one JSON object; all else is maild's to judge.
    package mutating func line(of body: [UInt8], identity: String) throws(WireError) -> FeedLine {
        var failure: WireError?
        let line: FeedLine? = body.withUnsafeBytes { bytes in
            do throws(JSONError) {
                try scanner.members(of: bytes, into: &members)
                return compose(bytes, identity)
            } catch {
                failure = WireError(error)
                return nil
            }
        }
        guard let line else { throw failure ?? WireError(.internal, "no line could be made") }
        return line
    }

    private mutating func compose(_ bytes: UnsafeRawBufferPointer, _ identity: String) -> FeedLine {
        let hasKey = members.contains { $0.hasKey("idempotency_key", in: bytes) }
        let start = (bytes.firstIndex(of: UInt8(ascii: "{")) ?? 0) + 1
        var line: [UInt8] = []
        line.reserveCapacity(bytes.count + (hasKey ? 2 : 128))
        line.append(UInt8(ascii: "{"))
        if !hasKey {
            line.put("\"idempotency_key\":")
            Self.key(kind: kind, identity: identity, body: bytes, into: &key)
            key.withUnsafeBytes { line.putJSON(text: $0) }
            if !members.isEmpty { line.append(UInt8(ascii: ",")) }
        }
        let from = line.count
        append(bytes, from: start, to: &line)
        // Outside of strings, where JSON has no line end, one is white space: the line must not end there.
        for place in from..<line.count where line[place] == 0x0A || line[place] == 0x0D { line[place] = 0x20 }
        line.append(0x0A)
        return FeedLine(bytes: line, ref: mark("ref", bytes), tags: mark("tags", bytes))
    }

    /// When the answer comes is the feed's to say (`ack`): a line that waited for its outcome would hold up the others.
    private func append(_ bytes: UnsafeRawBufferPointer, from start: Int, to line: inout [UInt8]) {
        guard let wait = members.first(where: { $0.hasKey("wait", in: bytes) }),
            wait.string(in: bytes) == "settled"
        else { return line.append(contentsOf: bytes[start...]) }
        line.append(contentsOf: bytes[start..<wait.value.lowerBound])
        line.put("\"durable\"")
        line.append(contentsOf: bytes[wait.value.upperBound...])
    }

    private func mark(_ name: StaticString, _ bytes: UnsafeRawBufferPointer) -> JSONValue? {
        guard keepsMarks, let member = members.first(where: { $0.hasKey(name, in: bytes) }) else { return nil }
        return try? JSONValue(member, in: bytes)
    }

    /// `redis:jobs/1700000000000-0:3f2a…`. The body is part of it: a stream or topic that was made anew counts from the
    /// start again, and the same name with another body must be another job, not a conflict. At most
    /// `Limits.keyBytesMax` bytes: a name too long for it is told by its digest.
    package static func key(kind: String, identity: String, body: [UInt8]) -> String {
        var key: [UInt8] = []
        body.withUnsafeBytes { Self.key(kind: kind, identity: identity, body: $0, into: &key) }
        return String(decoding: key, as: UTF8.self)
    }

    private static func key(
        kind: String, identity: String, body: UnsafeRawBufferPointer, into key: inout [UInt8]
    ) {
        key.removeAll(keepingCapacity: true)
        key += kind.utf8
        key.append(UInt8(ascii: ":"))
        let room = Limits.keyBytesMax - kind.utf8.count - 2 - 2 * digestBytes
        if identity.utf8.count <= room {
            key += identity.utf8
        } else {
            Array(identity.utf8).withUnsafeBytes { addDigest(of: $0, bytes: 32, to: &key) }
        }
        key.append(UInt8(ascii: ":"))
        addDigest(of: body, bytes: digestBytes, to: &key)
    }

    /// 128 bits: nobody finds two bodies for one of them.
    private static let digestBytes = 16

    private static func addDigest(of bytes: UnsafeRawBufferPointer, bytes count: Int, to text: inout [UInt8]) {
        var hash = SHA256()
        hash.update(bufferPointer: bytes)
        hash.finalize().withUnsafeBytes { digest in
            for byte in digest.prefix(count) {
                text.append(hexDigit(byte >> 4))
                text.append(hexDigit(byte & 15))
            }
        }
    }

    private static func hexDigit(_ value: UInt8) -> UInt8 { value < 10 ? 0x30 + value : 0x57 + value }
}
