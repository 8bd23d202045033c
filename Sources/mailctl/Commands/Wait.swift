// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import MailJob
import MailWire

struct Wait: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Wait until jobs have come to their end.",
        discussion: """
            Each job is one line of output once its end is known. The exit status is 0 if all were delivered, else that \
            of the first that was not: 67 failed, 68 expired, 73 cancelled or purged; 75 if the time was over before.
            """)

    @Argument(help: "The jobs' ids, as submit and list print them.") var ids: [String]
    @Option(help: ArgumentHelp("Wait no longer than this: seconds, or as in 15m, 2h.", valueName: "span"))
    var timeout: String?
    @OptionGroup var common: CommonOptions

    mutating func validate() throws {
        for id in ids where JobID(id) == nil {
            throw ValidationError("\"\(id)\" is not a job's id: 13 letters and digits.")
        }
        if let timeout, Measure.seconds(timeout) == nil {
            throw ValidationError("--timeout: \"\(timeout)\" is no span of time: write 90 (seconds), 15m or 2h.")
        }
    }

    mutating func run() throws {
        let clock = SystemClock()
        let end = timeout.flatMap { Measure.seconds($0) }.map { clock.monotonic() + $0 }
        let ids = ids.map { $0.uppercased() }
        var wait = PatientWait(try ControlClient(common), try ControlClient(common), isJSON: common.json)
        try wait.begin(ids)
        while !wait.isDone {
            let left = end.map { $0 - clock.monotonic() }
            if let left, left <= 0 { throw Failure(.tryAgain, "time is over: \(wait.waiting.count) still to come") }
            try wait.proceed(within: left)
        }
        if let status = wait.status(ids), status != .done { throw Failure(status, nil) }
    }
}

/// The ends of jobs: events say when to look, and a look says what is on disk.
private struct PatientWait: ~Copyable {
    private(set) var waiting: Set<String> = []
    private var ends: [String: Sysexit] = [:]
    /// Whose end may have come, though the last look did not find it.
    private var suspects: Set<String> = []
    /// Until the suspects are looked at again, in seconds.
    private var pause = PatientWait.pauseMin
    private var events: ControlClient
    private var looks: ControlClient
    private var screen = Screen()
    private let isJSON: Bool

    init(_ events: consuming ControlClient, _ looks: consuming ControlClient, isJSON: Bool) {
        self.events = events
        self.looks = looks
        self.isJSON = isJSON
    }

    mutating func begin(_ ids: [String]) throws(Failure) {
        waiting = Set(ids)
        try events.begin("Watch", ["ids": .array(ids.map { .string($0) })])
        // From the first reply on nothing is missed; what ended before it is seen by a look.
        _ = try events.next(within: ControlClient.answerSecondsUsual)
        for id in ids where waiting.contains(id) { _ = try look(at: id, isKnown: false) }
    }

    var isDone: Bool { waiting.isEmpty }

    /// Of the first job that was not delivered, in the order of the command line.
    func status(_ ids: [String]) -> Sysexit? {
        let statuses = ids.compactMap { [ends] id in ends[id] }
        return statuses.first { $0 != .done }
    }

    /// An event is told up to a commit before the disk knows, and of what was missed nobody tells: such jobs are looked
    /// at again, ever more seldom, until their end is written.
    mutating func proceed(within seconds: Double?) throws(Failure) {
        let patience = suspects.isEmpty ? seconds : min(pause, seconds ?? pause)
        if let reply = try events.next(within: patience) {
            suspect(reply)
        } else {
            pause = min(2 * pause, Self.pauseMax)
        }
        for id in suspects where try look(at: id) { suspects.remove(id) }
    }

    private mutating func suspect(_ reply: JSONValue) {
        var touched = Set((reply["events"]?.array ?? []).filter(Self.isEnd).compactMap { $0["job"]?.string })
        // What was missed may have been anybody's end.
        if reply["missed"]?.int ?? 0 > 0 { touched.formUnion(waiting) }
        touched.formIntersection(waiting)
        if !touched.isEmpty { pause = Self.pauseMin }
        suspects.formUnion(touched)
    }

    /// Seconds.
    private static let pauseMin = 0.01
    private static let pauseMax = 1.0

    private static func isEnd(_ event: JSONValue) -> Bool {
        let name = event["event"]?.string ?? ""
        return name == "purged" || ends[event["state"]?.string ?? ""] != nil
    }

    private static let ends: [String: Sysexit] = [
        "delivered": .done, "failed": .rejectedRecipient, "expired": .notReached, "cancelled": .cancelled,
    ]

    /// True where the job has come to its end.
    /// - Parameter isKnown: it was there before; if it is not now, it was purged.
    private mutating func look(at id: String, isKnown: Bool = true) throws(Failure) -> Bool {
        guard let shown = try looks.call("Show", ["id": .string(id)], unless: "NoSuchJob") else {
            guard isKnown else { throw Failure(.badData, "no job \(id) (finished jobs are forgotten after a while)") }
            try end(id, "purged", .cancelled, ["job": ["id": .string(id)]])
            return true
        }
        let state = shown["job"]?["state"]?.string ?? ""
        guard let status = Self.ends[state] else { return false }
        try end(id, state, status, shown)
        return true
    }

    private mutating func end(
        _ id: String, _ state: String, _ status: Sysexit, _ shown: JSONValue
    ) throws(Failure) {
        waiting.remove(id)
        ends[id] = status
        if isJSON {
            try screen.record(shown)
        } else {
            let reply = shown["job"]?["last_reply"]?.string.map { " " + Printable.text($0) } ?? ""
            try screen.line("\(Printable.text(id)) \(Printable.text(state))\(reply)")
        }
        try screen.flush()
    }
}
