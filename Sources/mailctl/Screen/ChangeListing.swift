// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailWire

/// What a verb changed: a line a job on standard output, the sum on standard error.
struct ChangeListing {
    private let done: String
    private let isJSON: Bool
    private var screen = Screen()
    private var changed = 0
    private var unchanged = 0
    /// Of the first job that was not changed, where it was asked for by its id.
    private var status = Sysexit.done

    /// Of a filter's jobs these are no news one by one.
    private static let othersShownMax = 20
    private var othersShown = 0

    init(done: String, isJSON: Bool) {
        self.done = done
        self.isJSON = isJSON
    }

    mutating func show(_ reply: JSONValue) throws(Failure) {
        changed = reply["changed"]?.int ?? changed
        unchanged = reply["unchanged"]?.int ?? unchanged
        if isJSON {
            try screen.record(reply)
        } else {
            for id in reply["ids"]?.array ?? [] { try screen.line("\(Printable.text(id.string ?? "?")) \(done)") }
        }
        try screen.flush()
        for other in reply["others"]?.array ?? [] { complain(other) }
    }

    private mutating func complain(_ job: JSONValue) {
        let state = job["state"]?.string
        if status == .done { status = state == "running" ? .tryAgain : .badData }
        guard !isJSON, othersShown < Self.othersShownMax else { return }
        othersShown += 1
        let id = Printable.text(job["id"]?.string ?? "?")
        switch state {
        case nil: StandardError.write("mailctl: no job \(id) (finished jobs are forgotten after a while)\n")
        case "running": StandardError.write("mailctl: \(id) is in a worker's hands: left alone, try again\n")
        case let state?: StandardError.write("mailctl: \(id) is \(Printable.text(state)): left as it is\n")
        }
    }

    /// - Parameter isByID: each job was asked for; else those that were left alone are none of the caller's business.
    func finish(isByID: Bool) throws(Failure) {
        if !isJSON, changed + unchanged != 1 || !isByID {
            let rest = unchanged > 0 ? ", \(unchanged) left as they were" : ""
            StandardError.write("mailctl: \(changed) job\(changed == 1 ? "" : "s") \(done)\(rest)\n")
        }
        if isByID, status != .done { throw Failure(status, nil) }
    }
}
