// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import MailWire

struct Resume: ParsableCommand {
    static let configuration = CommandConfiguration(abstract: "Begin jobs again after a pause.")

    @Option(help: "One queue alone.") var queue: String?
    @OptionGroup var common: CommonOptions

    mutating func run() throws {
        var client = try ControlClient(common)
        let reply = try client.call("Resume", queue.map { ["queue": .string($0)] } ?? [:])
        var screen = Screen()
        if common.json {
            try screen.document(reply)
        } else {
            try screen.line(reply["was_paused"]?.bool == false ? "was not paused" : "resumed")
        }
        try screen.flush()
    }
}
