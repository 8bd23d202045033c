// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import ArgumentParser

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

struct Submit: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Hand jobs to maild.",
        usage: """
            mailctl submit --to ADDRESS --from ADDRESS [--subject SUBJECT] [--text TEXT] [option …]
            mailctl submit FILE
            … | mailctl submit [-]
            """,
        discussion: """
            By flags one e-mail, its text from --text or standard input:

              mailctl submit --to ann@example.com --from app@example.org --text 'Hello!'
              df -h | mailctl submit --to ops@example.com --from cron@example.org

            From a file, or from standard input, any number of jobs: one JSON object a line, or one object over many \
            lines. docs/protocol.md has its fields.

              mailctl submit job.json
              generate-jobs | mailctl submit > answers

            Each job that was taken is one line of output, in the order of the jobs: its id, its state and its ref; \
            with --json maild's own answer, errors included. Errors go to standard error with their line. When a line \
            of output is there, the job is on disk.

            A file to attach of 64 KiB or more is read by maild itself, from the descriptor that it is given.

            With --wait the line comes once the job has ended, with a line for each recipient.

            The exit status is 0 if all jobs were taken, else that of the first error: 65 refused, 70 maild's bug, \
            75 try again. With --wait it is 0 for a job that was delivered, 67 for one that failed, 68 expired, \
            73 cancelled; 75 where maild stopped before.

            A connection that breaks, as in a restart of maild, is made anew, and what was not answered is sent again: \
            each job becomes one job, for it is given an idempotency_key where it has none. Where maild stays away for \
            longer than --timeout, the exit status is 75, and which lines were answered is said.
            """)

    @Argument(help: "A file with one JSON object, or one a line; - for standard input.", completion: .file())
    var file: String?

    @OptionGroup(title: "One job by flags") var job: JobOptions
    @Option(
        help: ArgumentHelp(
            "How long a lost connection is tried again: seconds, or as in 5m; 0 for never. (default: 60)",
            valueName: "span"))
    var timeout: String?

    @OptionGroup var common: CommonOptions

    mutating func validate() throws {
        if let timeout, Measure.seconds(timeout) == nil {
            throw ValidationError("--timeout: \"\(timeout)\" is no span of time: write 90 (seconds), 15m, 2h or 1d12h.")
        }
        if file != nil, !job.isEmpty { throw ValidationError("A job comes from a file or from flags, not both.") }
        if file == nil, job.isEmpty, isatty(STDIN_FILENO) == 1 {
            throw ValidationError("Nothing to submit: give flags (--to, --from, …), a file, or - for standard input.")
        }
    }

    mutating func run() throws {
        let source = job.isEmpty ? nil : try job.job()
        // Before waiting for input: that nobody is there should be known at once.
        let stream = try common.connect(to: .submit)
        let input = try source ?? (file == nil || file == "-" ? .standardInput() : .file(file ?? ""))
        let report = SubmissionReport(isSingle: input.isSingle, isJSON: common.json)
        let persistence = Persistence(secondsMax: timeout.flatMap(Measure.seconds) ?? Persistence.secondsUsual)
        var pipeline = Pipeline(stream, input, report, persistence) { [common] () throws(Failure) in
            try common.connect(to: .submit)
        }
        let status = try pipeline.run()
        if status != .done { throw Failure(status, nil) }
    }
}
