// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import ArgumentParser

struct Relays: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Show the relays: which take mail, which are away and why.",
        discussion: """
            BREAKER is closed while a relay takes sessions, open while it does not, and half-open while one mail finds \
            out. Mail that waits for a relay uses up no attempt.
            """)

    @OptionGroup var common: CommonOptions

    mutating func run() throws {
        var client = try ControlClient(common)
        let reply = try client.call("Relays")
        var screen = Screen()
        if common.json {
            try screen.document(reply)
        } else {
            try RelayListing(reply["relays"]?.array ?? []).show(on: &screen)
        }
        try screen.flush()
    }
}
