// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import Glibc
import Synchronization
import Systemd
import Testing

/// Formats each line as it comes.
private final class FormattingSink: JournalSink {
    let text = Mutex("")

    func write(_ records: UnsafeRawBufferPointer) {
        let plain = PlainText(descriptor: -1, fieldPrefix: "MAILD_")
        var bytes: [UInt8] = []
        JournalRecord.forEach(records) { plain.format($0, into: &bytes) }
        let formatted = String(decoding: bytes, as: UTF8.self)
        text.withLock { $0 += formatted }
    }
}

private final class TimeSink: JournalSink {
    let nanoseconds = Mutex<Int64>(0)

    func write(_ records: UnsafeRawBufferPointer) {
        JournalRecord.forEach(records) { record in nanoseconds.withLock { $0 = record.nanoseconds } }
    }
}

@Suite("Plain text on standard error") struct PlainTextTests {
    /// What stands after the time.
    private func formatted(_ priority: Priority = .info, _ compose: (inout JournalLine) -> Void) -> String {
        let sink = FormattingSink()
        let journal = Journal(sink, fieldPrefix: "MAILD_", level: .debug)
        journal.write(priority, compose)
        journal.flush()
        return sink.text.withLock { String($0.drop { $0 != " " }.dropFirst()) }
    }

    @Test("time, level, message, then keys and values")
    func line() {
        let text = formatted(.warning) { line in
            line.message("relay away")
            line.identify("0123456789abcdef0123456789abcdef")
            line.field("RELAY", "main")
            line.field("ATTEMPTS", 3)
        }
        #expect(text == "warning: relay away relay=main attempts=3\n")
    }

    @Test(
        "the time is RFC 3339 in UTC, to the millisecond",
        arguments: [
            (0, "1970-01-01T00:00:00.000Z"), (951_782_399_999_999_999, "2000-02-28T23:59:59.999Z"),
            (951_782_400_001_000_000, "2000-02-29T00:00:00.001Z"),
            (4_102_444_800_000_000_000, "2100-01-01T00:00:00.000Z"),
        ])
    func time(nanoseconds: Int64, text: String) {
        var bytes: [UInt8] = []
        PlainText.append(time: nanoseconds, to: &bytes)
        #expect(String(decoding: bytes, as: UTF8.self) == text)
    }

    @Test("a line bears the time at which it was logged")
    func now() {
        let sink = TimeSink()
        let journal = Journal(sink, fieldPrefix: "")
        let before = Self.nanoseconds
        journal.write(.info, "now")
        journal.flush()
        #expect((before...Self.nanoseconds).contains(sink.nanoseconds.withLock { $0 }))
    }

    /// Not by time(2), which is told the second a clock tick late.
    private static var nanoseconds: Int64 {
        var time = timespec()
        clock_gettime(CLOCK_REALTIME, &time)
        return Int64(time.tv_sec) * 1_000_000_000 + Int64(time.tv_nsec)
    }

    @Test(
        "values are quoted where they would not read back",
        arguments: [
            ("plain", "plain"), ("", #""""#), ("two words", #""two words""#), (#"a"b"#, #""a\"b""#),
            ("a\r\nb", #""a\r\nb""#), ("\u{1B}[31m", #""\x1B[31m""#), (#"c:\d e"#, #""c:\\d e""#), ("ü=1", "ü=1"),
        ])
    func values(value: String, text: String) {
        let line = formatted { line in
            line.message("m")
            line.field("K", value)
        }
        #expect(line == "info: m k=\(text)\n")
    }

    @Test("a message cannot begin a line of its own nor steer the terminal")
    func injection() {
        let text = formatted { $0.message("550 no\n2026 error: fake\u{1B}[2J\u{7F}") }
        #expect(text == "info: 550 no\\n2026 error: fake\\x1B[2J\\x7F\n")
    }

    @Test("lines reach the descriptor, also where the reader is slow and the descriptor does not block")
    func descriptor() throws {
        var ends: [CInt] = [0, 0]
        try #require(pipe(&ends) == 0)
        try #require(fcntl(ends[1], F_SETFL, O_NONBLOCK) == 0)
        let journal = Journal(PlainText(descriptor: ends[1], fieldPrefix: ""), fieldPrefix: "")
        // More than a pipe holds, so that writing must wait for the reading below.
        let count = 2000
        let filler = String(repeating: "-", count: 80)
        for index in 0..<count { journal.write(.info, "line \(index) \(filler)") }
        var text: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 1000)
        var lineCount = 0
        while lineCount < count {
            let got = read(ends[0], &chunk, chunk.count)
            try #require(got > 0)
            text.append(contentsOf: chunk[..<got])
            lineCount += chunk[..<got].count { $0 == 0x0A }
        }
        #expect(journal.flush(secondsMax: 20))
        let lines = String(decoding: text, as: UTF8.self).split(separator: "\n")
        #expect(lines.count == count)
        #expect(lines.last?.contains("info: line \(count - 1) -") == true)
        close(ends[0])
        close(ends[1])
    }

    @Test("a reader that has gone does not end the process, nor does it hold up a flush")
    func brokenPipe() throws {
        var ends: [CInt] = [0, 0]
        try #require(pipe(&ends) == 0)
        close(ends[0])
        let journal = Journal(PlainText(descriptor: ends[1], fieldPrefix: ""), fieldPrefix: "")
        journal.write(.error, "into the void")
        #expect(journal.flush(secondsMax: 20))
        close(ends[1])
    }

    @Test("standard error is the journal's only where device and inode are the same")
    func stream() throws {
        var ends: [CInt] = [0, 0]
        try #require(pipe(&ends) == 0)
        defer { for end in ends { close(end) } }
        var status = stat()
        try #require(fstat(ends[1], &status) == 0)
        let (device, inode) = (status.st_dev, status.st_ino)
        #expect(JournalStream.matches("\(device):\(inode)", descriptor: ends[1]))
        #expect(!JournalStream.matches("\(device):\(inode + 1)", descriptor: ends[1]))
        #expect(!JournalStream.matches("\(device + 1):\(inode)", descriptor: ends[1]))
        for text in ["", ":", "1", "a:b", "\(device):\(inode):1", "-1:2"] {
            #expect(!JournalStream.matches(text, descriptor: ends[1]), "\(text)")
        }
        #expect(!JournalStream.matches("\(device):\(inode)", descriptor: -1))
    }
}
