// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import MailWire

struct Reload: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Have maild read its configuration file again.",
        discussion: "If the file has an error the old configuration stays, and the exit status is 78.")

    @OptionGroup var common: CommonOptions

    mutating func run() throws {
        var client = try ControlClient(common)
        let reply = try client.call("Reload")
        var screen = Screen()
        if common.json {
            try screen.document(reply)
        } else {
            let changed = Self.keys(reply["changed"])
            try screen.line(changed.isEmpty ? "nothing changed" : "changed: \(changed)")
            let waiting = Self.keys(reply["restart_needed"])
            if !waiting.isEmpty { try screen.line("waits for a restart: \(waiting)") }
        }
        try screen.flush()
    }

    private static func keys(_ value: JSONValue?) -> String {
        Printable.text((value?.array ?? []).compactMap(\.string).joined(separator: ", "))
    }
}
