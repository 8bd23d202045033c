// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailWire

/// maild's answer to a line, as far as a feed looks at it.
enum FeedAnswer: Equatable {
    case accepted(job: String, state: String?, isDuplicate: Bool)
    case refused(Refusal)
}

/// Why maild does not take a line. A maild of another version may have errors that are new to us.
struct Refusal: Equatable {
    var error: String
    var message: String
    var field = ""
    var isRetryable: Bool
    /// Seconds; nil where maild does not say.
    var retryAfter: Double?
}

extension Refusal {
    init(_ error: WireError) {
        self.error = error.name.rawValue
        message = error.message
        field = error.field ?? ""
        isRetryable = error.retryable
        retryAfter = error.retryAfter.map(Double.init)
    }
}

/// Reads answers; keeps its scratch memory from one to the next.
struct FeedAnswerReader {
    private var scanner = JSONScanner()
    private var members: [JSONMember] = []

    /// nil where it is no answer.
    mutating func answer(_ line: [UInt8]) -> FeedAnswer? {
        line.withUnsafeBytes { bytes in
            do throws(JSONError) {
                try scanner.members(of: bytes, into: &members)
            } catch {
                return nil
            }
            guard let job = string("job", bytes) else { return refusal(bytes).map { .refused($0) } }
            return .accepted(
                job: job, state: string("state", bytes), isDuplicate: member("duplicate", bytes)?.kind == .true)
        }
    }

    private func refusal(_ bytes: UnsafeRawBufferPointer) -> Refusal? {
        guard let error = string("error", bytes) else { return nil }
        return Refusal(
            error: error, message: string("message", bytes) ?? "", field: string("field", bytes) ?? "",
            isRetryable: member("retryable", bytes)?.kind == .true,
            retryAfter: member("retry_after", bytes)?.double(in: bytes))
    }

    private func member(_ name: StaticString, _ bytes: UnsafeRawBufferPointer) -> JSONMember? {
        members.first { $0.hasKey(name, in: bytes) }
    }

    private func string(_ name: StaticString, _ bytes: UnsafeRawBufferPointer) -> String? {
        member(name, bytes)?.string(in: bytes)
    }
}
