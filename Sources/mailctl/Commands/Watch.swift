// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import MailJob
import MailWire

struct Watch: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Show what happens, as it happens, until interrupted.",
        discussion: "With --json each event is one line (docs/protocol.md, type Event).")

    @Argument(help: "Only what happens to these jobs.") var ids: [String] = []
    @Option(help: "Only what happens in this queue.") var queue: String?
    @Option(help: "Only events after which a job stands in this state; may be repeated.") var state: [String] = []
    @OptionGroup var common: CommonOptions

    mutating func validate() throws {
        for id in ids where JobID(id) == nil {
            throw ValidationError("\"\(id)\" is not a job's id: 13 letters and digits.")
        }
        for name in state where JobState(name: name) == nil {
            throw ValidationError(
                "--state: \"\(name)\" is none of \(JobState.allCases.map(\.name).joined(separator: ", ")).")
        }
    }

    mutating func run() throws {
        var client = try ControlClient(common)
        var screen = Screen()
        let isJSON = common.json
        try client.stream("Watch", parameters, patience: nil) { reply throws(Failure) in
            for event in reply["events"]?.array ?? [] {
                if isJSON { try screen.record(event) } else { try screen.line(EventLine.text(event, on: screen)) }
            }
            let missed = reply["missed"]?.int ?? 0
            if missed > 0 { StandardError.write("mailctl: too slow: \(missed) events were missed\n") }
            try screen.flush()
        }
        throw Failure(.tryAgain, "maild has gone")
    }

    private var parameters: JSONObject {
        var parameters: JSONObject = [:]
        if !ids.isEmpty { parameters["ids"] = .array(ids.map { .string($0.uppercased()) }) }
        if !state.isEmpty { parameters["states"] = .array(state.map { .string($0) }) }
        if let queue { parameters["queue"] = .string(queue) }
        return parameters
    }
}
