// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import MailJob

struct Show: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Show everything that is known of one job.",
        discussion: "Finished jobs are remembered for a while ([spool] history_seconds in the configuration).")

    @Argument(help: "The job's id, as submit and list print it.") var id: String

    @OptionGroup var common: CommonOptions

    mutating func validate() throws {
        guard JobID(id) != nil else {
            throw ValidationError("\"\(id)\" is not a job's id: 13 letters and digits.")
        }
    }

    mutating func run() throws {
        var client = try ControlClient(common)
        let reply = try client.call("Show", ["id": .string(id)])
        var screen = Screen()
        if common.json {
            try screen.document(reply)
        } else {
            try JobPage(reply).show(on: &screen)
        }
        try screen.flush()
    }
}
