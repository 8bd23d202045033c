// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailConfiguration
import MailTransport

extension ExecSettings {
    init(_ reader: ConfigurationReader) throws(ConfigurationError) {
        self.init()
        concurrencyMax = try reader.count(["exec", "concurrency_max"])
        for name in try (reader.names(in: ["exec"]) ?? []).sorted() where reader.isTable(["exec", name]) {
            programs.append(try ProgramSettings(reader, name))
        }
    }

    /// For comparing.
    var entries: [(String, String)] {
        [("exec.concurrency_max", concurrencyMax.map { "\($0)" } ?? "")] + programs.map { ("exec.\($0.name)", "\($0)") }
    }
}

extension ProgramSettings {
    fileprivate init(_ reader: ConfigurationReader, _ name: String) throws(ConfigurationError) {
        let table = ["exec", name]
        let words = try reader.strings(table + ["command"], wanted: "text without a NUL") { !$0.utf8.contains(0) }
        guard let words, let path = words.first else { throw reader.error(table + ["command"], "is missing") }
        // No search along PATH: what runs is what the file says.
        guard path.hasPrefix("/") else {
            throw reader.error(table + ["command"], "must begin with an absolute path, not \"\(path)\"")
        }
        self.init(name: name, command: words)
        try reader.readPath(table + ["directory"], into: &directory)
        let variables = try reader.strings(table + ["env"], wanted: "the name of a variable, without its value") {
            !$0.isEmpty && !$0.utf8.contains { $0 <= 0x20 || $0 == 0x3D || $0 >= 0x7F }
        }
        environment = variables ?? []
        try reader.read(table + ["seconds_max"], into: &secondsMax, 0.1...Configuration.Ranges.day)
        concurrencyMax = try reader.count(table + ["concurrency_max"])
    }
}
