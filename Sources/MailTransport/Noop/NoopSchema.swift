// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailJob
import MailWire
import NIOCore

/// The kind `noop`: docs/protocol.md § Fields of a noop.
package struct NoopSchema: JobSchema {
    package static let type = "noop"
    package var type: String { Self.type }

    /// An hour: longer than any test.
    static let seconds = 0.0...3600.0

    package init() {}

    package func check(
        _ line: UnsafeRawBufferPointer, _ members: [JSONMember], limits: JobLimits
    ) throws(WireError) -> Int {
        for member in members {
            if member.hasKey("payload", in: line) { continue }
            if member.hasKey("verdict", in: line) {
                guard let name = member.string(in: line), NoopFields.verdicts[name] != nil else {
                    throw .mustBe("delivered, deferred or rejected", "verdict", member, in: line)
                }
            } else if member.hasKey("seconds", in: line) {
                guard let seconds = member.double(in: line), Self.seconds.contains(seconds) else {
                    throw .mustBe("a number of seconds from 0 to 3600", "seconds", member, in: line)
                }
            } else {
                throw .invalid(WireError.shown(member.key, in: line), "unknown field", in: line)
            }
        }
        return 1
    }
}

/// A noop's fields, for its run.
struct NoopFields {
    static let verdicts: [String: Verdict] = [
        "delivered": .delivered(Reply(0, "", "nothing to do")), "deferred": .deferred(Reply(0, "", "as was asked for")),
        "rejected": .rejected(Reply(0, "", "as was asked for")),
    ]

    private(set) var verdict = Verdict.delivered(Reply(0, "", "nothing to do"))
    private(set) var seconds = 0.0
    private(set) var ref: String?

    /// Of a line that the schema has let pass.
    init(_ body: ByteBuffer) {
        body.withUnsafeReadableBytes { line in
            var scanner = JSONScanner()
            var members: [JSONMember] = []
            guard (try? scanner.members(of: line, into: &members)) != nil else { return }
            for member in members {
                if member.hasKey("verdict", in: line) {
                    verdict = Self.verdicts[member.string(in: line) ?? ""] ?? verdict
                } else if member.hasKey("seconds", in: line) {
                    seconds = member.double(in: line) ?? 0
                } else if member.hasKey("ref", in: line) {
                    ref = member.string(in: line)
                }
            }
        }
    }
}
