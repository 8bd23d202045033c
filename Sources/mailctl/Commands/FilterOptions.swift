// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import MailJob
import MailWire

/// Which jobs are meant, where they are not named by their ids.
struct FilterOptions: ParsableArguments {
    @Option(help: "Jobs in this state: \(JobState.allCases.map(\.name).joined(separator: ", ")); may be repeated.")
    var state: [String] = []

    @Option(help: "Jobs of this queue.") var queue: String?
    @Option(help: "Jobs submitted by this user's number; may be repeated.") var uid: [UInt32] = []
    @Option(help: "Jobs of this kind.") var kind: String?
    @Option(help: ArgumentHelp("Jobs to a recipient with this in the address.", valueName: "text")) var to: String?
    @Option(help: ArgumentHelp("Jobs from a sender with this in the address.", valueName: "text")) var from: String?
    @Option(help: "Jobs with this tag.") var tag: String?

    @Option(help: ArgumentHelp("Jobs accepted so long ago or longer: 90 (seconds), 15m, 2h, 1d12h.", valueName: "span"))
    var olderThan: String?

    @Option(help: ArgumentHelp("Jobs accepted less long ago.", valueName: "span")) var newerThan: String?

    var isEmpty: Bool {
        let texts = [queue, kind, to, from, tag, olderThan, newerThan]
        return state.isEmpty && uid.isEmpty && texts.allSatisfy { $0 == nil }
    }

    mutating func validate() throws {
        for name in state where JobState(name: name) == nil {
            throw ValidationError(
                "--state: \"\(name)\" is none of \(JobState.allCases.map(\.name).joined(separator: ", ")).")
        }
        for (name, span) in [("--older-than", olderThan), ("--newer-than", newerThan)] {
            guard let span, Measure.seconds(span) == nil else { continue }
            throw ValidationError("\(name): \"\(span)\" is no span of time: write 90 (seconds), 15m, 2h or 1d12h.")
        }
    }

    /// As the methods of docs/protocol.md take it.
    var json: JSONObject {
        var filter: JSONObject = [:]
        if !state.isEmpty { filter["states"] = .array(state.map { .string($0) }) }
        if !uid.isEmpty { filter["uids"] = .array(uid.map { JSONValue(Int($0)) }) }
        for (name, value) in [("queue", queue), ("kind", kind), ("to", to), ("from", from), ("tag", tag)] {
            if let value { filter[name] = .string(value) }
        }
        if let time = Self.time(before: olderThan) { filter["accepted_before"] = .string(time) }
        if let time = Self.time(before: newerThan) { filter["accepted_since"] = .string(time) }
        return filter
    }

    private static func time(before span: String?) -> String? {
        span.flatMap { Measure.seconds($0) }.map { (SystemClock().now() + -$0).rfc3339 }
    }
}
