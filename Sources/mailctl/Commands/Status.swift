// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import ArgumentParser

struct Status: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Show what maild is doing.",
        discussion: "Exit status with --fleet: 69 where the spool is this maild's alone.")

    @OptionGroup var common: CommonOptions
    @Flag(help: "Show all nodes that share the spool.") var fleet = false

    mutating func run() throws {
        var client = try ControlClient(common)
        let reply = try client.call(fleet ? "Fleet" : "Status")
        var screen = Screen()
        if common.json {
            try screen.document(reply)
        } else if fleet {
            try FleetPage(reply).show(on: &screen)
        } else {
            try StatusPage(reply).show(on: &screen)
        }
        try screen.flush()
    }
}
