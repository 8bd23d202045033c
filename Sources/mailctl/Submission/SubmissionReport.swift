// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailJob

/// Tells the user what became of each line, as the answers come.
struct SubmissionReport {
    let isSingle: Bool
    private let isJSON: Bool
    private let isTerminal: Bool
    private var tally = Tally()
    private var progress: Progress
    private var output = StandardOutput()

    init(isSingle: Bool, isJSON: Bool) {
        self.isSingle = isSingle
        self.isJSON = isJSON
        isTerminal = Terminal.standardOutput().isTerminal
        progress = Progress(isShown: StandardError.isTerminal && !isSingle, clock: SystemClock())
    }

    var status: Sysexit { tally.status }
    var pollMilliseconds: Int32 { progress.pollMilliseconds }

    /// `number`: the line's; nil where maild speaks without being asked, as it does before it closes a connection.
    mutating func take(_ answer: Answer, _ line: [UInt8], of number: Int?) throws(Failure) {
        tally.count(answer)
        if isJSON {
            try write(isTerminal ? Array(Printable.json(String(decoding: line, as: UTF8.self)).utf8) : line)
        } else if let text = answer.text {
            try write(Array(text.utf8))
        }
        if case .refused(let refusal) = answer { complain(refusal, number) }
    }

    private mutating func write(_ line: [UInt8]) throws(Failure) {
        if isTerminal { progress.clear() }
        try Self.unlessClosed { () throws(Failure) in try output.line(line[...]) }
    }

    private mutating func complain(_ refusal: Answer.Refusal, _ number: Int?) {
        progress.clear()
        let place = isSingle ? "" : number.map { "line \($0): " } ?? "this connection: "
        StandardError.write("mailctl: \(place)\(refusal.text)\n")
    }

    /// Before waiting: what is known so far is shown.
    mutating func settle() throws(Failure) {
        if !output.isEmpty { try Self.unlessClosed { () throws(Failure) in try output.flush() } }
        progress.draw(tally)
    }

    mutating func finish() throws(Failure) {
        progress.clear()
        try settle()
        progress.clear()
        if !isSingle { StandardError.write("mailctl: \(tally.text(seconds: progress.seconds))\n") }
    }

    /// Unlike elsewhere, work is left undone when nobody reads our output any more: no success, but nothing is said.
    private static func unlessClosed(_ write: () throws(Failure) -> Void) throws(Failure) {
        do throws(Failure) { try write() } catch {
            throw error == .closedOutput ? Failure(.inputOutput, nil) : error
        }
    }
}
