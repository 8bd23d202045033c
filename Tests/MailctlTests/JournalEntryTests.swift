// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import Testing
import mailctl

@Suite("Entries of the journal") struct JournalEntryTests {
    private func entry(_ time: Int, _ message: String, of invocation: String? = nil, by systemd: Bool = false)
        -> JournalEntry?
    {
        let run = invocation.map { #", "\#(systemd ? "INVOCATION_ID" : "_SYSTEMD_INVOCATION_ID")": "\#($0)""# } ?? ""
        return JournalEntry(#"{"__REALTIME_TIMESTAMP": "\#(time)", "MESSAGE": "\#(message)"\#(run)}"#.utf8)
    }

    @Test("an entry is a line with time, machine, program and what it said")
    func line() throws {
        let entry = try #require(
            JournalEntry(
                #"""
                {"__REALTIME_TIMESTAMP": "1795819556000001", "_SOURCE_REALTIME_TIMESTAMP": "1795819555999999",
                 "SYSLOG_IDENTIFIER": "sh", "_COMM": "bash", "_PID": "5929", "MESSAGE": "no space\non the tape\u0007"}
                """#.utf8))
        #expect(entry.time == 1_795_819_555_999_999)
        let text = entry.text(on: "app1")
        #expect(text.hasPrefix("2026-11-2") && text.contains("T") && !text.contains("\u{7}"))
        #expect(text.contains(" app1 sh[5929]: no space\n    on the tape"))
    }

    @Test(
        "a message may be bytes, several or missing",
        arguments: [
            (#"[110, 111, 255]"#, "no\u{FFFD}"), (#"["first", "second"]"#, "first"), ("null", ""),
            (#""plain""#, "plain"),
        ])
    func message(value: String, text: String) {
        #expect(JournalEntry(#"{"__REALTIME_TIMESTAMP": "1", "MESSAGE": \#(value)}"#.utf8)?.message == text)
    }

    @Test("what is no entry is none", arguments: ["", "{", "[]", "{}", #"{"__REALTIME_TIMESTAMP": "x"}"#])
    func broken(line: String) {
        #expect(JournalEntry(line.utf8) == nil)
    }

    @Test("to a run belongs what names it, and what was written since by a process of which nothing is known any more")
    func run() {
        let entries = [
            entry(10, "of the run before", of: "a"), entry(11, "late, of the run before"),
            entry(20, "Starting", of: "b", by: true), entry(21, "works", of: "b"),
            entry(22, "last words"), entry(23, "Failed", of: "b", by: true), entry(30, "Starting", of: "c", by: true),
        ].compactMap { $0 }
        #expect(entries.count == 7)
        #expect(
            JournalEntry.of(run: "b", among: entries).map(\.message) == ["Starting", "works", "last words", "Failed"])
        #expect(JournalEntry.of(run: "d", among: entries).isEmpty)
    }
}
