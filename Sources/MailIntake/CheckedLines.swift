// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailJob
import MailSpool
import MailWire
import NIOCore

/// The lines of one read after the reader has judged them: jobs to keep, and errors in their places.
package struct CheckedLines {
    package private(set) var submissions: [Submission] = []
    /// By submission; empty where no line has one.
    package private(set) var refs: [Range<Int>?] = []
    /// Indices of submissions whose answer waits for the outcome. Empty on the usual road.
    package private(set) var waits: Set<Int> = []
    package private(set) var errors: [(before: Int, error: WireError)] = []

    package init() {}

    package var isEmpty: Bool { submissions.isEmpty && errors.isEmpty }

    package mutating func refuse(_ error: WireError) { errors.append((submissions.count, error)) }

    /// Refuses a line whatever it says, but with its ref.
    mutating func refuse(_ error: WireError, _ line: UnsafeRawBufferPointer, by reader: inout JobReader) {
        var error = error
        error.ref = reader.ref(of: line)
        refuse(error)
    }

    /// - Parameters:
    ///   - line: without its newline.
    ///   - offset: where the line lies, counted from the chunk's first byte.
    ///   - limits: nil for everybody's.
    ///   - mayWait: there is room for another line that waits for its outcome.
    package mutating func check(
        _ line: UnsafeRawBufferPointer, at offset: Int, now: WallTime, expirySeconds: Double, limits: JobLimits? = nil,
        mayWait: Bool = true, by reader: inout JobReader
    ) {
        do throws(WireError) {
            let job = try reader.read(line, now: now, limits: limits)
            guard mayWait || !job.waitsForOutcome else { return refuse(Self.tooManyWait, line, by: &reader) }
            add(job, line.count, offset, now, expirySeconds)
        } catch {
            refuse(error)
        }
    }

    private mutating func add(_ job: JobLine, _ length: Int, _ offset: Int, _ now: WallTime, _ expirySeconds: Double) {
        let start = job.dueAt ?? now
        var submission = Submission(
            range: offset..<offset + length, kind: UInt8(job.kind), priority: job.priority, queue: job.queue,
            dueAt: job.dueAt, expiresAt: job.expiresAt ?? start + expirySeconds, attemptsMax: job.maxAttempts ?? 0,
            key: job.key)
        submission.isTraced = job.isTraced
        submissions.append(submission)
        if job.waitsForOutcome { waits.insert(submissions.count - 1) }
        note(job.ref.map { $0.lowerBound + offset..<$0.upperBound + offset })
    }

    private mutating func note(_ ref: Range<Int>?) {
        guard ref != nil || !refs.isEmpty else { return }
        if refs.isEmpty { refs = Array(repeating: nil, count: submissions.count - 1) }
        refs.append(ref)
    }

    private static let tooManyWait = WireError(
        .quotaExceeded, "wait: \(Limits.waitingLinesMax) lines wait for their outcome already", field: "wait",
        retryAfter: 5)

    /// Spaces, tabs and carriage returns alone are no job and no error.
    package static func isBlank(_ line: UnsafeRawBufferPointer) -> Bool {
        // Saves a look at every byte of the usual line.
        line.first != UInt8(ascii: "{") && line.allSatisfy { $0 == 0x20 || $0 == 0x09 || $0 == 0x0D }
    }
}
