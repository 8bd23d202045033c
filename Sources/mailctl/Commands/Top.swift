// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import MailWire

struct Top: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Watch maild at work: rates, ages, workers and relays, once a second.",
        discussion: """
            q or Ctrl-C ends it. Where the output is no terminal, one plain page is printed, or as many as --count says. \
            With --json each page is one line. While maild is away it waits for the next one.
            """)

    @Option(help: ArgumentHelp("Seconds between two pages, from 0.1.", valueName: "seconds")) var interval = 1.0
    @Option(help: ArgumentHelp("So many pages, then the end.", valueName: "pages")) var count: Int?

    @OptionGroup var common: CommonOptions

    mutating func validate() throws {
        guard interval >= 0.1, interval <= 3600 else { throw ValidationError("--interval: must be from 0.1 to 3600.") }
        if let count, count < 1 { throw ValidationError("--count: must be at least 1.") }
    }

    mutating func run() throws {
        let terminal = Terminal.standardOutput()
        if terminal.isTerminal && !common.json {
            try watch()
        } else {
            try print(pages: count ?? 1)
        }
    }

    /// The second page is the first that knows rates, so it is the one that is printed where only one is.
    private func print(pages: Int) throws(Failure) {
        var client = try ControlClient(common)
        var rates = Rates()
        let clock = Ticks()
        rates.add(try client.call("Status"), at: clock.now)
        for _ in 0..<pages {
            clock.sleep(interval)
            let status = try client.call("Status")
            rates.add(status, at: clock.now)
            var screen = Screen()
            if common.json {
                try screen.record(status)
            } else {
                for line in TopPage(status, rates, screen).lines { try screen.line(line) }
            }
            try screen.flush()
        }
    }

    private func watch() throws(Failure) {
        // Whoever is not there now has never been: that is told at once, and not watched.
        var client: ControlClient? = try ControlClient(common)
        let window = FullScreen()
        defer { window.leave() }
        var rates = Rates()
        var shown = 0
        repeat {
            var problem: String?
            do throws(Failure) {
                if client == nil { client = try ControlClient(common) }
                if let status = try client?.call("Status") { rates.add(status, at: Ticks().now) }
            } catch {
                client = nil
                problem = error.message
            }
            try window.show(TopPage(rates.last, rates, Screen(), problem: problem).lines)
            shown += 1
        } while shown < count ?? .max && window.waits(interval)
    }
}
