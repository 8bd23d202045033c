// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import MailJob
import MailWire

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

struct CheckSpool: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Look at the whole spool for damage, while maild runs on.",
        discussion: """
            Reads every job and its checksum, SQLite's own structure, the counts and the idempotency keys. Damaged jobs \
            are held, and named here. The exit status is 65 where anything is wrong. Where maild does not start, \
            `maild --check-spool` does the same.
            """)

    @Flag(name: .long, help: "Compare the indexes with their tables as well: takes several times as long.")
    var full = false

    @OptionGroup var common: CommonOptions

    mutating func run() throws {
        var client = try ControlClient(common)
        var reply = try client.call("CheckSpool", ["full": .bool(full)])
        var progress = Progress(isShown: isatty(STDERR_FILENO) == 1, clock: SystemClock())
        while reply["done"]?.bool == false, let check = reply["check"] {
            progress.draw(Self.text(reply))
            usleep(Self.pauseMicroseconds)
            reply = try client.call("CheckSpool", ["check": check])
        }
        progress.clear()
        let report = reply["report"] ?? [:]
        var screen = Screen()
        if common.json {
            try screen.document(report)
        } else {
            try CheckReport(report).show(on: &screen)
        }
        try screen.flush()
        if !CheckReport(report).isClean { throw Failure(.badData, nil) }
    }

    private static let pauseMicroseconds: UInt32 = 200_000

    private static func text(_ reply: JSONValue) -> String {
        switch reply["stage"]?.string {
        case "jobs": "\(reply["jobs_read"]?.int ?? 0) of \(reply["jobs_total"]?.int ?? 0) jobs read"
        case "keys": "comparing counts and keys"
        default: "checking the file's structure"
        }
    }
}
