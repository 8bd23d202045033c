// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailJob

/// What a line means, in sixteen bytes: two lines that differ only in the order of their members, the space between
/// them, their idempotency key, the kind of answer they want or the trace they belong to have the same.
enum LineDigest {
    static func of(_ members: [JSONMember], in line: UnsafeRawBufferPointer) -> [UInt8] {
        var sums: (UInt64, UInt64) = (0, 0)
        for member in members where !isAside(member, line) {
            // Addition forgets the order. Each key stands there once.
            sums.0 &+= sum(member, line, seed: 1)
            sums.1 &+= sum(member, line, seed: 2)
        }
        return [sums.0, sums.1].flatMap { sum in (0..<8).map { UInt8(truncatingIfNeeded: sum >> ($0 * 8)) } }
    }

    private static func isAside(_ member: JSONMember, _ line: UnsafeRawBufferPointer) -> Bool {
        // Who submits again does so in another span.
        member.hasKey("idempotency_key", in: line) || member.hasKey("wait", in: line)
            || member.hasKey("traceparent", in: line) || member.hasKey("tracestate", in: line)
    }

    private static func sum(_ member: JSONMember, _ line: UnsafeRawBufferPointer, seed: UInt64) -> UInt64 {
        let key = member.keyText.decoded(from: line).withUnsafeBytes { Checksum.of($0, seed: seed) }
        // A string is the same however it is escaped; what stands within an array or object is compared as it is.
        guard let text = member.bytes(in: line) else {
            return Checksum.of(UnsafeRawBufferPointer(rebasing: line[member.value]), seed: key)
        }
        return text.withUnsafeBytes { Checksum.of($0, seed: key &+ 1) }
    }
}
