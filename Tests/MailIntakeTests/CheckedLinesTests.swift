// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailIntake
import MailJob
import MailWire
import Testing

@Suite("Lines judged")
struct CheckedLinesTests {
    private static let now = WallTime(milliseconds: 1_800_000_000_000)

    /// Lines as they lie in one chunk, each followed by a newline.
    private func check(_ lines: [String]) -> CheckedLines {
        var reader = JobReader(schemas: [EmailSchema()], limits: JobLimits())
        var checked = CheckedLines()
        var offset = 0
        for line in lines {
            Array(line.utf8).withUnsafeBytes { bytes in
                checked.check(bytes, at: offset, now: Self.now, expirySeconds: 100, by: &reader)
            }
            offset += line.utf8.count + 1
        }
        return checked
    }

    private static let plain = #"{"to":"a@example.com","from":"b@example.com"}"#

    @Test("errors remember how many jobs came before them")
    func places() {
        let lines = check(["nonsense", Self.plain, "{}", "[]", Self.plain, "{"])
        #expect(lines.submissions.count == 2)
        #expect(lines.errors.map(\.before) == [0, 1, 1, 2])
        #expect(lines.errors.map(\.error.name) == [.parseError, .invalidJob, .parseError, .parseError])
        #expect(!lines.isEmpty && CheckedLines().isEmpty)
    }

    @Test("ranges of jobs and refs count from the chunk's first byte")
    func ranges() {
        let named = #"{"ref":"x","to":"a@example.com","from":"b@example.com"}"#
        let lines = check([Self.plain, named])
        let start = Self.plain.utf8.count + 1
        #expect(lines.submissions.map(\.range) == [0..<start - 1, start..<start + named.utf8.count])
        #expect(lines.refs == [nil, start + 7..<start + 10])
        #expect(check([Self.plain]).refs.isEmpty)
    }

    @Test("a job without an expiry is given one, counted from when it may go")
    func expiry() {
        let rest = Self.plain.dropFirst()
        let jobs = check([
            Self.plain, #"{"delay":50,"# + rest, #"{"max_attempts":3,"priority":9,"# + rest,
            #"{"expires_at":"2030-01-01T00:00:00Z","# + rest,
        ]).submissions
        #expect(jobs.count == 4)
        #expect(jobs.map(\.dueAt) == [nil, Self.now + 50, nil, nil])
        #expect(jobs.prefix(3).map(\.expiresAt) == [Self.now + 100, Self.now + 150, Self.now + 100])
        #expect(jobs.last?.expiresAt == WallTime(rfc3339: "2030-01-01T00:00:00Z"))
        #expect(jobs.map(\.attemptsMax) == [0, 0, 3, 0])
        #expect(jobs.map(\.priority) == [4, 4, 9, 4])
    }

    @Test(
        "blanks alone are no line",
        arguments: [
            ("", true), (" ", true), ("\r", true), (" \t\r", true), ("x", false), (" {}", false), ("\0", false),
        ])
    func blank(line: String, isBlank: Bool) {
        Array(line.utf8).withUnsafeBytes { #expect(CheckedLines.isBlank($0) == isBlank) }
    }
}
