// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailConfiguration
import MailFeed
import NIOCore

/// A feed from a Kafka topic, as its configuration has it.
package struct KafkaSettings: FeedSettings, Equatable {
    package static let type = "kafka"
    package static let keys =
        ["brokers", "topic", "group", "client", "start", "dead_topic", "session_timeout_seconds", "sasl"]
        + BrokerAccess.keys
    package static let outcomeKeys = ["topic"]

    /// How a password is shown to the broker.
    package enum Mechanism: String, CaseIterable, Sendable {
        case plain, scramSHA256 = "scram-sha-256", scramSHA512 = "scram-sha-512"
    }

    package var brokers = ["127.0.0.1:9092"]
    package var topic = ""
    package var group = "maild"
    package var client: String
    /// Where a group begins that has committed nothing: with all that is there, or with what comes.
    package var start = "earliest"
    package var deadTopic = ""
    package var outcomeTopic: String?
    /// A consumer that says nothing for so long loses its partitions to the others.
    package var sessionTimeoutSeconds = 45.0
    package var mechanism = Mechanism.plain
    package var access: BrokerAccess

    package init(_ reader: ConfigurationReader, _ frame: FeedFrame) throws(ConfigurationError) {
        access = try BrokerAccess(reader, Self.type)
        client = "\(frame.hostname)/\(frame.name)"
        let wanted = "HOST:PORT such as kafka.example:9092"
        if let list = try reader.strings(["kafka", "brokers"], wanted: wanted, { HostPort($0) != nil }) {
            brokers = list
        }
        try readTopics(reader, frame)
        let name = { (text: String) in text.isEmpty ? nil : text }
        try reader.read(["kafka", "group"], into: &group, wanted: "a consumer group's name", name)
        try reader.read(["kafka", "client"], into: &client, wanted: "a client's name", name)
        try reader.read(["kafka", "start"], into: &start, wanted: "\"earliest\" or \"latest\"") {
            ["earliest", "latest"].contains($0) ? $0 : nil
        }
        try reader.read(["kafka", "session_timeout_seconds"], into: &sessionTimeoutSeconds, 1...1800)
        try readMechanism(reader)
    }

    private mutating func readTopics(_ reader: ConfigurationReader, _ frame: FeedFrame) throws(ConfigurationError) {
        let wanted = "a topic's name (1 to 249 letters, digits, dots, underscores, hyphens)"
        try reader.read(["kafka", "topic"], into: &topic, wanted: wanted, Self.topicName)
        guard !topic.isEmpty else { throw reader.error(["kafka", "topic"], "is needed: the topic with the jobs") }
        deadTopic = "\(topic).dead"
        try reader.read(["kafka", "dead_topic"], into: &deadTopic, wanted: wanted, Self.topicName)
        guard deadTopic != topic else {
            throw reader.error(["kafka", "dead_topic"], "must not be the topic itself: its letters would come back")
        }
        guard frame.publishesOutcomes else { return }
        var outcomes = "\(topic).outcomes"
        try reader.read(["outcomes", "topic"], into: &outcomes, wanted: wanted, Self.topicName)
        guard outcomes != topic else { throw reader.error(["outcomes", "topic"], "must not be the topic of the jobs") }
        outcomeTopic = outcomes
    }

    /// As Kafka's own Topic.validate: others it refuses.
    private static func topicName(_ text: String) -> String? {
        let isFine =
            (1...249).contains(text.utf8.count) && text != "." && text != ".."
            && text.utf8.allSatisfy { HostPort.isLetterOrDigit($0) || [0x2D, 0x2E, 0x5F].contains($0) }
        return isFine ? text : nil
    }

    private mutating func readMechanism(_ reader: ConfigurationReader) throws(ConfigurationError) {
        let words = Mechanism.allCases.map { "\"\($0.rawValue)\"" }.joined(separator: ", ")
        try reader.read(["kafka", "sasl"], into: &mechanism, wanted: "one of \(words)") { Mechanism(rawValue: $0) }
        guard (access.user == nil) == (access.password == nil) else {
            let password = reader.has(["kafka", "password_file"]) ? "password_file" : "password_credential"
            let there = access.user == nil ? password : "user"
            throw reader.error(["kafka", there], "user and a password belong together")
        }
        guard access.user != nil || !reader.has(["kafka", "sasl"]) else {
            throw reader.error(["kafka", "sasl"], "is for a login, which needs user and a password")
        }
    }

    package var subject: String { "topic \(topic) at \(brokers.joined(separator: ", "))" }

    package func source(_ desk: any FeedDesk, on loop: any EventLoop) throws(FeedFailure) -> any FeedSource {
        try KafkaSource(self, password: try access.readPassword(Self.type), desk: desk)
    }
}
