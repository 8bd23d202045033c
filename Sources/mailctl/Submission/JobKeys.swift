// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailWire

/// Gives each job an idempotency key of its own where it has none, so that its line may be sent twice and is one job.
package struct JobKeys {
    /// What one line needs before it leaves.
    package struct Mark: Equatable {
        /// To be put behind the line's first byte.
        package var insertion: [UInt8] = []
        /// Sent again it cannot become a second job.
        package var mayRepeat = true
        /// Its answer comes when the outcome is known, however late.
        package var waitsForOutcome = false

        package init(mayRepeat: Bool = true) { self.mayRepeat = mayRepeat }
    }

    /// Different for each run of mailctl, and for each machine.
    private let run: String
    private var scanner = JSONScanner()
    private var members: [JSONMember] = []

    package init(run: String = Self.freshRun()) { self.run = run }

    /// 128 random bits.
    package static func freshRun() -> String {
        var random = SystemRandomNumberGenerator()
        return String(random.next(), radix: 36) + String(random.next(), radix: 36)
    }

    /// - Parameter line: without white space in front.
    package mutating func mark(_ line: UnsafeRawBufferPointer, number: Int) -> Mark {
        var mark = Mark()
        // What is no JSON object becomes no job, however often it is sent.
        do { try scanner.members(of: line, into: &members) } catch { return mark }
        mark.waitsForOutcome = members.contains {
            $0.hasKey("wait", in: line) && $0.string(in: line) == "settled"
        }
        guard !members.contains(where: { $0.hasKey("idempotency_key", in: line) }) else { return mark }
        guard members.count < JSONScanner.lineMembersMax else {
            mark.mayRepeat = false
            return mark
        }
        let comma = members.isEmpty ? "" : ","
        mark.insertion = Array("\"idempotency_key\":\"\(run)-\(number)\"\(comma)".utf8)
        return mark
    }
}
