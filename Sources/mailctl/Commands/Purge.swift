// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import MailWire

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

struct Purge: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Forget jobs for good, history and all.",
        discussion: """
            Asks first on a terminal; elsewhere it wants --yes. Named by what they are, only failed jobs are meant, \
            unless --state says otherwise.

              mailctl purge --older-than 30d
            """)

    @Flag(help: "Do not ask.") var yes = false
    @OptionGroup var options: ChangeOptions

    mutating func validate() throws {
        guard !yes, !options.dryRun, !Self.canAsk else { return }
        throw ValidationError("purge forgets jobs for good: where it cannot ask it wants --yes (or --dry-run).")
    }

    mutating func run() throws {
        if !yes, !options.dryRun, try !isWanted() { throw Failure(.done, nil) }
        try options.run("Purge", done: "purged")
    }

    private static var canAsk: Bool { isatty(STDIN_FILENO) == 1 && StandardError.isTerminal }

    private func isWanted() throws(Failure) -> Bool {
        var client = try ControlClient(options.common)
        var count = 0
        try client.stream("Purge", options.parameters(dryRun: true)) { reply throws(Failure) in
            count = reply["changed"]?.int ?? 0
        }
        // What is left to be said of single ids is said by the call itself.
        guard count > 0 else { return true }
        StandardError.write("Forget \(count) job\(count == 1 ? "" : "s") for good? [y/N] ")
        return ["y", "yes"].contains(readLine()?.lowercased() ?? "")
    }
}
