// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailJob
import MailWire

/// How a feed fares, in words and as the object that `mailctl feeds` reads.
struct FeedStatus {
    let configuration: FeedConfiguration
    let standing: Feeder.Standing

    /// `connected, 12 unanswered, lag 4, 1034 accepted, 2 dead letters`.
    var line: String {
        var parts: [String] = []
        if standing.isConnected {
            parts.append("connected")
        } else {
            parts.append("not connected" + (standing.trouble.map { " (\($0))" } ?? ""))
        }
        if !standing.isLinked { parts.append("maild is away") }
        if let pause = standing.pause { parts.append("paused: \(pause)") }
        parts.append("\(standing.unanswered) unanswered")
        if configuration.waitsForOutcome { parts.append("\(standing.unsettled) unsettled") }
        if let lag = standing.lag { parts.append("lag \(lag)") }
        parts.append("\(standing.counts.accepted) accepted")
        parts.append("\(standing.counts.buried) dead letters")
        return parts.joined(separator: ", ")
    }

    var json: JSONObject {
        let counts = standing.counts
        var object: JSONObject = [
            "feed": .string(configuration.name), "kind": .string(configuration.type),
            "subject": .string(configuration.kind.subject), "version": .string(Version.text),
            "ack": .string(configuration.ack.rawValue),
            "connected": .bool(standing.isConnected), "maild_connected": .bool(standing.isLinked),
            "unanswered": JSONValue(standing.unanswered), "unsettled": JSONValue(standing.unsettled),
            "consumed": JSONValue(counts.consumed), "redelivered": JSONValue(counts.redelivered),
            "accepted": JSONValue(counts.accepted), "duplicates": JSONValue(counts.duplicates),
            "rejected": JSONValue(counts.rejected.values.reduce(0, +)), "dead_letters": JSONValue(counts.buried),
            "acknowledged": JSONValue(counts.acknowledged), "outcomes": JSONValue(counts.published),
        ]
        if let lag = standing.lag { object["lag"] = JSONValue(lag) }
        if let pause = standing.pause { object["paused"] = .string(pause) }
        if let trouble = standing.trouble { object["trouble"] = .string(trouble) }
        return object
    }
}
