// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import ArgumentParser

/// A job by flags.
struct JobOptions: ParsableArguments {
    @Option(help: "A recipient; may be repeated.") var to: [String] = []
    @Option(help: "A recipient of a copy; may be repeated.") var cc: [String] = []
    @Option(help: "A recipient that no header names; may be repeated.") var bcc: [String] = []
    @Option(help: "The sender.") var from: String?
    @Option(help: "Where answers shall go; may be repeated.") var replyTo: [String] = []
    @Option(help: "The subject.") var subject: String?

    @Option(help: "The text; - or nothing: standard input, where that is no terminal.") var text: String?
    @Option(help: "The HTML part; - for standard input.") var html: String?

    @Option(help: ArgumentHelp("A further header field; may be repeated.", valueName: "name: value"))
    var header: [String] = []

    @Option(help: ArgumentHelp("A file to attach; may be repeated.", valueName: "file"))
    var attach: [String] = []

    @Option(help: ArgumentHelp("Not before this time, as 2027-01-31T09:00:00+01:00.", valueName: "time"))
    var sendAt: String?

    @Option(help: ArgumentHelp("Not before so much later: seconds, or as in 15m, 2h, 1d12h.", valueName: "span"))
    var delay: String?

    @Option(help: ArgumentHelp("No attempt is begun after this time.", valueName: "time")) var expiresAt: String?
    @Option(help: "0 to 9, higher goes first; 4 where it is missing.") var priority: Int?
    @Option(help: "At most so many attempts.") var maxAttempts: Int?
    @Option(help: "Your own name for the job; comes back in the answer.") var ref: String?
    @Option(
        help: "Who submits a job with the same key again means the same job; its own for each job where it is missing.")
    var idempotencyKey: String?
    @Option(help: "The kind of job; email where it is missing.") var type: String?
    @Flag(help: "Have the sender told by mail of a failure.") var bounce = false
    @Flag(help: "Wait for the job's end, and say what became of each recipient.") var wait = false

    var isEmpty: Bool {
        let lists = [to, cc, bcc, replyTo, header, attach]
        let texts = [from, subject, text, html, sendAt, delay, expiresAt, ref, idempotencyKey, type]
        return lists.allSatisfy(\.isEmpty) && texts.allSatisfy { $0 == nil } && priority == nil && maxAttempts == nil
    }

    mutating func validate() throws {
        if isEmpty, wait || bounce {
            throw ValidationError(
                "--wait and --bounce go with a job by flags; JSON says \"wait\": \"settled\" and \"bounce\": true.")
        }
        if let delay, Measure.seconds(delay) == nil {
            throw ValidationError("--delay: \"\(delay)\" is no span of time: write 90 (seconds), 15m, 2h or 1d12h.")
        }
        if delay != nil, sendAt != nil { throw ValidationError("--delay and --send-at exclude each other.") }
        if text == "-", html == "-" { throw ValidationError("--text and --html cannot both be standard input.") }
        var names: Set<String> = []
        for field in header {
            guard let (name, _) = JobDraft.headerField(field) else {
                throw ValidationError("--header: \"\(field)\" is not of the form \"Name: value\".")
            }
            guard names.insert(name.lowercased()).inserted else {
                throw ValidationError("--header: \"\(name)\" is given twice.")
            }
        }
    }
}
