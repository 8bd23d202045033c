// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import MailWire

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

struct Feeds: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Show the feeds: which brokers hand jobs over, how far behind they are, what is wrong.",
        discussion: """
            Asks each maild-feed@NAME.service that runs. LAG is what the broker holds and nobody was given yet, where \
            it tells; UNANSWERED are messages that maild has not answered.
            """)

    @OptionGroup var common: CommonOptions

    @Option(
        name: .customLong("feeds"),
        help: ArgumentHelp(
            "Where the feeds have their sockets. (default: $MAILD_FEEDS or /run/maild-feed)", valueName: "directory"))
    var directory: String?

    /// A feed answers from memory.
    private static let answerSeconds = 5.0

    mutating func run() throws {
        let directory = directory ?? Environment.value("MAILD_FEEDS") ?? "/run/maild-feed"
        let feeds = try Self.names(in: directory).map { Self.ask($0, "\(directory)/\($0)") }
        var screen = Screen()
        if common.json {
            try screen.document(["feeds": .array(feeds)])
        } else {
            try FeedListing(feeds).show(on: &screen)
        }
        try screen.flush()
    }

    /// None where there is no directory: then no feed was ever started.
    private static func names(in directory: String) throws(Failure) -> [String] {
        guard let entries = opendir(directory) else {
            if errno == ENOENT { return [] }
            throw .system(.noPermission, Printable.text(directory), errno)
        }
        defer { closedir(entries) }
        var names: [String] = []
        while let entry = readdir(entries) {
            let name = withUnsafeBytes(of: entry.pointee.d_name) {
                String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self)
            }
            // readdir(3) does not always know what it is; a feed's socket answers, and nothing else is there.
            if !name.hasPrefix("."), entry.pointee.d_type == UInt8(DT_SOCK) || entry.pointee.d_type == 0 {
                names.append(name)
            }
        }
        return names.sorted()
    }

    /// A feed that does not answer is one of the list, with the reason.
    private static func ask(_ name: String, _ path: String) -> JSONValue {
        do throws(Failure) {
            var client = try ControlClient(path: path, answerSecondsMax: answerSeconds)
            return try client.call(VarlinkCall(method: "io.maild.Feed.Status"))
        } catch {
            return ["feed": .string(name), "trouble": .string(error.message ?? "it does not answer")]
        }
    }
}
