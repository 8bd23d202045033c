// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import MailJob

struct Scale: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Change the number of workers.",
        discussion: """
            Takes effect at once, interrupts no running job, and survives a restart. `mailctl scale default` goes \
            back to the number in the configuration file.
            """)

    @Argument(help: ArgumentHelp("1 to \(Limits.workersMax), or default.", valueName: "number"))
    var workers: String

    @OptionGroup var common: CommonOptions

    /// 0 stands for the configured number (docs/protocol.md § Control).
    private var number: Int? {
        if workers == "default" { return 0 }
        guard let number = Int(workers), 1...Limits.workersMax ~= number else { return nil }
        return number
    }

    mutating func validate() throws {
        guard number != nil else {
            throw ValidationError("\"\(workers)\" is not a number from 1 to \(Limits.workersMax), nor default.")
        }
    }

    mutating func run() throws {
        var client = try ControlClient(common)
        let reply = try client.call("Scale", ["workers": .integer(Int64(number ?? 0))])
        var screen = Screen()
        if common.json {
            try screen.document(reply)
        } else {
            let (wanted, previous) = (reply["workers"]?.int ?? 0, reply["previous"]?.int ?? 0)
            try screen.line("\(wanted) worker\(wanted == 1 ? "" : "s"), \(previous) before")
        }
        try screen.flush()
    }
}
