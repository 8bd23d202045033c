// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import MailJob
import MailWire

struct VersionCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "version", abstract: "Show mailctl's version, and maild's where it can be reached.")

    @OptionGroup var common: CommonOptions

    mutating func run() throws {
        let (daemon, reason) = askDaemon()
        var screen = Screen()
        if common.json {
            try screen.document(["mailctl": .string(Version.text), "maild": JSONValue(daemon)])
        } else {
            try screen.line("mailctl \(Version.text)")
            try screen.line("maild   " + (daemon.map(Printable.text) ?? "not reached: \(reason)"))
        }
        try screen.flush()
    }

    /// That maild is away is an answer here, not a failure.
    private func askDaemon() -> (version: String?, reason: String) {
        do throws(Failure) {
            var client = try ControlClient(common)
            let info = try client.call(VarlinkCall(method: "\(ServiceInterface.name).GetInfo"))
            return (info["version"]?.string, "it does not tell")
        } catch {
            return (nil, error.message ?? "no reason")
        }
    }
}
