// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailJob
import MailWire
import NIOCore

/// The kind `exec`: docs/protocol.md § Fields of an exec.
package struct ExecSchema: JobSchema {
    package static let type = "exec"
    package var type: String { Self.type }

    /// Those that a job may name.
    private let programs: [String]

    package init(programs: [String]) { self.programs = programs }

    package func check(
        _ line: UnsafeRawBufferPointer, _ members: [JSONMember], limits: JobLimits
    ) throws(WireError) -> Int {
        var isNamed = false
        for member in members {
            if member.hasKey("input", in: line) { continue }
            guard member.hasKey("program", in: line) else {
                throw .invalid(WireError.shown(member.key, in: line), "unknown field", in: line)
            }
            guard let name = member.string(in: line), programs.contains(name) else {
                throw .mustBe("the NAME of an [exec.NAME]", "program", member, in: line)
            }
            isNamed = true
        }
        guard isNamed else { throw .invalid("program", "missing", in: line) }
        return 1
    }

    package func heading(_ job: JSONValue) -> JobHeading {
        var heading = JobHeading()
        heading.recipients = [job["program"]?.string].compactMap { $0 }
        return heading
    }
}

/// An exec's fields, for its run.
struct ExecFields {
    private(set) var program = ""
    private(set) var ref: String?

    /// Of a line that the schema has let pass.
    init(_ body: ByteBuffer) {
        body.withUnsafeReadableBytes { line in
            var scanner = JSONScanner()
            var members: [JSONMember] = []
            guard (try? scanner.members(of: line, into: &members)) != nil else { return }
            for member in members {
                if member.hasKey("program", in: line) { program = member.string(in: line) ?? "" }
                if member.hasKey("ref", in: line) { ref = member.string(in: line) }
            }
        }
    }
}
