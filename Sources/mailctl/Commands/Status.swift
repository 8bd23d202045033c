// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import ArgumentParser

struct Status: ParsableCommand {
    static let configuration = CommandConfiguration(abstract: "Show what maild is doing.")

    @OptionGroup var common: CommonOptions

    mutating func run() throws {
        var client = try ControlClient(common)
        let reply = try client.call("Status")
        var screen = Screen()
        if common.json {
            try screen.document(reply)
        } else {
            try StatusPage(reply).show(on: &screen)
        }
        try screen.flush()
    }
}
