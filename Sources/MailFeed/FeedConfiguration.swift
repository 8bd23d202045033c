// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailConfiguration
import MailJob
import Systemd

/// One feed, as docs/feeds.md lists its keys. What was parsed is complete and possible.
package struct FeedConfiguration: Sendable {
    package enum Acknowledgement: String, CaseIterable, Sendable {
        /// Once the job is on disk.
        case accepted
        /// Once its outcome is known.
        case settled
    }

    package var name: String
    package var ack = Acknowledgement.accepted
    package var window = 0
    package var windowBytesMax = Limits.feedWindowBytesMax
    package var drainSecondsMax = 5.0
    package var logLevel = Priority.info
    /// nil: none is opened.
    package var metrics: HostPort?
    package var submit = "/run/maild/submit.sock"
    package var control = "/run/maild/control.sock"
    package var publishesOutcomes = false
    package var kind: any FeedSettings

    package var waitsForOutcome: Bool { ack == .settled }
    package var type: String { Swift.type(of: kind).type }

    var machine: FeedMachine.Settings {
        FeedMachine.Settings(
            kind: type, window: window, windowBytesMax: windowBytesMax, waitsForOutcome: waitsForOutcome,
            publishesOutcomes: publishesOutcomes)
    }
}

extension FeedConfiguration {
    package static let directory = "/etc/maild/feeds"

    /// Reads `path`, or NAME's own file.
    package static func load(
        name: String, path: String?, kinds: [any FeedSettings.Type], hostname: String
    ) throws(ConfigurationError) -> FeedConfiguration {
        let file = path ?? "\(directory)/\(name).toml"
        let text = try ConfigurationText.of(file, mayBeMissing: false) ?? ""
        return try parse(text, file: file, name: name, kinds: kinds, hostname: hostname)
    }

    package static func parse(
        _ text: String, file: String, name: String, kinds: [any FeedSettings.Type], hostname: String
    ) throws(ConfigurationError) -> FeedConfiguration {
        let reader = try ConfigurationReader(text, file: file)
        let kind = try FeedKeys(kinds).kind(reader)
        var ack = Acknowledgement.accepted
        let words = Acknowledgement.allCases.map { "\"\($0.rawValue)\"" }.joined(separator: " or ")
        try reader.read(["ack"], into: &ack, wanted: words) { Acknowledgement(rawValue: $0) }
        // Jobs that wait for their end wait for hours where a server is away: more of them must have room.
        var window = ack == .settled ? Limits.feedUnsettledMax : Limits.feedWindowMax
        try reader.read(["window"], into: &window, 1...Limits.feedWindowHighest)
        let outcomes = reader.has(["outcomes"])
        guard !outcomes || ack == .settled else {
            throw reader.error(
                ["outcomes"], "needs ack = \"settled\": else a message is forgotten before its outcome is known")
        }
        let frame = FeedFrame(
            name: name, hostname: hostname, window: window, waitsForOutcome: ack == .settled,
            publishesOutcomes: outcomes)
        var feed = FeedConfiguration(name: name, kind: try kind.init(reader, frame))
        feed.ack = ack
        feed.window = window
        feed.publishesOutcomes = outcomes
        try feed.readRest(reader)
        return feed
    }

    private mutating func readRest(_ reader: ConfigurationReader) throws(ConfigurationError) {
        // One message may be as long as a line.
        try reader.read(["window_bytes_max"], into: &windowBytesMax, (1 << 20)...(1 << 36))
        try reader.read(["drain_seconds_max"], into: &drainSecondsMax, 0...3600)
        let levels = Priority.allCases.map { "\"\($0.name)\"" }.joined(separator: ", ")
        try reader.read(["log_level"], into: &logLevel, wanted: "one of \(levels)") { Priority(name: $0) }
        let wanted = "ADDRESS:PORT such as 127.0.0.1:9826 or [::1]:9826, or \"\" for none"
        try reader.read(["metrics"], into: &metrics, wanted: wanted) {
            $0.isEmpty ? .some(nil) : HostPort($0).map(Optional.some)
        }
        try readSocket(reader, ["maild", "submit"], &submit)
        try readSocket(reader, ["maild", "control"], &control)
    }

    private func readSocket(
        _ reader: ConfigurationReader, _ path: [String], _ value: inout String
    ) throws(ConfigurationError) {
        try reader.readPath(path, into: &value)
        // sun_path has 108 bytes, the last of them a NUL (unix(7)).
        guard value.utf8.count <= 107 else {
            throw reader.error(path, "has \(value.utf8.count) bytes; a socket's path has at most 107")
        }
    }
}

/// The names that a feed's file may use.
struct FeedKeys {
    private let kinds: [any FeedSettings.Type]
    private static let top = ["ack", "window", "window_bytes_max", "drain_seconds_max", "log_level", "metrics"]
    private static let maild = ["submit", "control"]

    init(_ kinds: [any FeedSettings.Type]) { self.kinds = kinds }

    /// The kind whose table is there. A typo must not be taken for a default: names are checked before any value is.
    func kind(_ reader: ConfigurationReader) throws(ConfigurationError) -> any FeedSettings.Type {
        let names = try reader.names(in: []) ?? []
        let there = kinds.filter { names.contains($0.type) }
        let tables = kinds.map { "[\($0.type)]" }.joined(separator: ", ")
        let sections = ["maild", "outcomes"] + kinds.map { $0.type }
        for name in names where !sections.contains(name) {
            try refuse([name], among: Self.top + sections, reader)
        }
        guard let kind = there.first else {
            throw ConfigurationError(file: reader.file, message: "says of no broker: one of \(tables) is needed")
        }
        guard there.count == 1 else {
            throw reader.error([there[1].type], "a feed has one broker; make another feed for this one")
        }
        for (table, keys) in [("maild", Self.maild), ("outcomes", kind.outcomeKeys), (kind.type, kind.keys)] {
            for name in try reader.names(in: [table]) ?? [] { try refuse([table, name], among: keys, reader) }
        }
        return kind
    }

    private func refuse(
        _ path: [String], among keys: [String], _ reader: ConfigurationReader
    ) throws(ConfigurationError) {
        guard let name = path.last, !keys.contains(name) else { return }
        if ["password", "secret", "token"].contains(name), keys.contains("password_file") {
            throw reader.error(
                path,
                "no secret stands in this file, which others may read: use password_file (a path) or "
                    + "password_credential (a systemd credential)")
        }
        guard let meant = NearName.nearest(to: name, among: keys) else { throw reader.error(path, "is unknown") }
        throw reader.error(path, "is unknown; did you mean \(meant)?")
    }
}
