// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailWire

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

/// An entry of the journal, as `journalctl -o json` prints one a line (systemd.journal-fields(7)).
package struct JournalEntry: Equatable {
    /// Microseconds since 1970: when it was written, where the journal was told, else when the journal read it.
    package var time: Int
    package var identifier: String
    package var pid: String
    package var message: String
    /// The run of the unit that it is of, or that systemd writes about; empty where the journal did not find out.
    package var invocation: String

    package static let fields = [
        "MESSAGE", "SYSLOG_IDENTIFIER", "_COMM", "_PID", "_SOURCE_REALTIME_TIMESTAMP", "_SYSTEMD_INVOCATION_ID",
        "INVOCATION_ID",
    ]

    /// nil where it is no such line.
    package init?(_ line: some Collection<UInt8>) {
        guard let value = try? JSONValue(parsing: line) else { return nil }
        let text = { (names: String...) in names.lazy.map { Self.text(value[$0]) }.first { !$0.isEmpty } ?? "" }
        guard let time = Int(text("_SOURCE_REALTIME_TIMESTAMP", "__REALTIME_TIMESTAMP")) else { return nil }
        self.time = time
        identifier = text("SYSLOG_IDENTIFIER", "_COMM")
        pid = text("_PID")
        message = text("MESSAGE")
        // systemd writes of a run under a name of its own; its own run is not meant.
        invocation = text("INVOCATION_ID", "_SYSTEMD_INVOCATION_ID")
    }

    /// journalctl(1), `-o json`: bytes that are no UTF-8 are an array of numbers, several values an array of them, and
    /// what is too long is null.
    private static func text(_ value: JSONValue?) -> String {
        guard let elements = value?.array else { return value?.string ?? "" }
        if let first = elements.first?.string { return first }
        return String(decoding: elements.compactMap { $0.int.flatMap(UInt8.init(exactly:)) }, as: UTF8.self)
    }

    /// Those of one run, out of all that the unit has said, and that systemd has said of it.
    ///
    /// What a program printed just before it died may reach the journal when there is no process any more of which it
    /// could learn the run: such an entry belongs to the run in which it was written.
    package static func of(run invocation: String, among entries: [JournalEntry]) -> [JournalEntry] {
        let began = entries.lazy.filter { $0.invocation == invocation }.map(\.time).min()
        guard let began else { return [] }
        return entries.filter { $0.invocation == invocation || $0.invocation.isEmpty && $0.time >= began }
    }

    /// `2026-11-27T22:45:56+0000 app1 sh[5929]: no space on the tape`; further lines of the message are indented.
    package func text(on host: String) -> String {
        let source = pid.isEmpty ? identifier : "\(identifier)[\(pid)]"
        let lines = message.split(separator: "\n").map { Printable.text(String($0)) }
        return "\(Self.local(time)) \(host) \(Printable.text(source)): \(lines.joined(separator: "\n    "))"
    }

    private static func local(_ microseconds: Int) -> String {
        var seconds = time_t(microseconds / 1_000_000)
        var parts = tm()
        localtime_r(&seconds, &parts)
        var bytes = [CChar](repeating: 0, count: 64)
        let count = strftime(&bytes, bytes.count, "%Y-%m-%dT%H:%M:%S%z", &parts)
        return String(decoding: bytes.prefix(count).map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }
}
