// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailConfiguration
import NIOCore
import NIOSSL

/// A feed from a Redis stream, as its configuration has it.
package struct RedisSettings: FeedSettings, Equatable {
    package static let type = "redis"
    package static let keys =
        [
            "server", "socket", "database", "stream", "field", "group", "consumer", "start", "claim_idle_seconds",
            "delete_acknowledged", "dead_stream", "dead_entries_max",
        ] + BrokerAccess.keys
    package static let outcomeKeys = ["stream", "entries_max"]

    package var server = HostPort(host: "127.0.0.1", port: 6379)
    /// In place of the server.
    package var socket: String?
    package var database = 0
    package var stream = ""
    /// Which field of an entry holds the job.
    package var field = "job"
    package var group = "maild"
    package var consumer: String
    /// Where a group that is made anew begins: `0` with all that is there, `$` with what comes.
    package var start = "0"
    /// What another consumer has left alone for so long is taken over.
    package var claimIdleSeconds = 60.0
    package var deletesAcknowledged = false
    package var deadStream = ""
    package var deadEntriesMax = 100_000
    package var outcomeStream: String?
    package var outcomeEntriesMax = 1_000_000
    package var access: BrokerAccess

    package init(_ reader: ConfigurationReader, _ frame: FeedFrame) throws(ConfigurationError) {
        access = try BrokerAccess(reader, Self.type)
        consumer = "\(frame.hostname)/\(frame.name)"
        try readServer(reader)
        let name = { (text: String) in text.isEmpty ? nil : text }
        try reader.read(["redis", "stream"], into: &stream, wanted: "a stream's key", name)
        guard !stream.isEmpty else { throw reader.error(["redis", "stream"], "is needed: the stream with the jobs") }
        try reader.read(["redis", "field"], into: &field, wanted: "a field's name", name)
        try reader.read(["redis", "group"], into: &group, wanted: "a consumer group's name", name)
        try reader.read(["redis", "consumer"], into: &consumer, wanted: "a consumer's name", name)
        try reader.read(["redis", "start"], into: &start, wanted: "\"0\", \"$\" or an entry's id") {
            $0 == "0" || $0 == "$" || StreamID($0) != nil ? $0 : nil
        }
        try reader.read(["redis", "claim_idle_seconds"], into: &claimIdleSeconds, 1...86_400)
        try reader.read(["redis", "delete_acknowledged"], into: &deletesAcknowledged)
        deadStream = "\(stream):dead"
        try reader.read(["redis", "dead_stream"], into: &deadStream, wanted: "a stream's key", name)
        try reader.read(["redis", "dead_entries_max"], into: &deadEntriesMax, 1...1_000_000_000)
        guard deadStream != stream else {
            throw reader.error(["redis", "dead_stream"], "must not be the stream itself: its letters would come back")
        }
        if frame.publishesOutcomes { try readOutcomes(reader) }
    }

    private mutating func readServer(_ reader: ConfigurationReader) throws(ConfigurationError) {
        try reader.read(["redis", "server"], into: &server, wanted: "HOST:PORT such as redis.example:6379") {
            HostPort($0)
        }
        if reader.has(["redis", "socket"]) {
            var path = ""
            try reader.readPath(["redis", "socket"], into: &path)
            socket = path
            guard !reader.has(["redis", "server"]) else {
                throw reader.error(["redis", "socket"], "there is a server too; one of them is enough")
            }
            guard !access.isTLS else { throw reader.error(["redis", "tls"], "a Unix socket needs none") }
        }
        try reader.read(["redis", "database"], into: &database, 0...65_535)
    }

    private mutating func readOutcomes(_ reader: ConfigurationReader) throws(ConfigurationError) {
        var name = "\(stream):outcomes"
        try reader.read(["outcomes", "stream"], into: &name, wanted: "a stream's key") { $0.isEmpty ? nil : $0 }
        guard name != stream else { throw reader.error(["outcomes", "stream"], "must not be the stream of the jobs") }
        outcomeStream = name
        try reader.read(["outcomes", "entries_max"], into: &outcomeEntriesMax, 1...1_000_000_000)
    }

    package var subject: String { "stream \(stream) at \(socket ?? server.description)" }

    package func source(_ desk: any FeedDesk, on loop: any EventLoop) throws(FeedFailure) -> any FeedSource {
        let login = RedisLogin(
            user: access.user, password: try access.readPassword(Self.type), database: database, name: consumer)
        return RedisSource(self, login: login, tls: try access.context(Self.type), desk: desk, on: loop)
    }
}
