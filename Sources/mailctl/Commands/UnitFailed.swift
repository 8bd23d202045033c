// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import ArgumentParser

struct UnitFailed: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Mail the failure of a systemd unit, with its last journal lines.",
        discussion: """
            For OnFailure=. The package has a unit for it, so that one line in any other is enough:

              [Unit]
              OnFailure=maild-unit-failed@%n.service

            The recipient is that of --to, of MAILD_UNIT_FAILED_TO (systemctl edit maild-unit-failed@.service), \
            that of root in /etc/aliases, or root of this machine.
            """)

    @Argument(help: "The unit that failed.") var unit: String
    @Option(help: "A recipient; may be repeated. (default: $MAILD_UNIT_FAILED_TO or root@HOST)") var to: [String] = []
    @Option(help: "The sender. (default: $MAILD_UNIT_FAILED_FROM or root@HOST)") var from: String?
    @Option(help: "So many lines of the journal.") var lines = 50
    @OptionGroup var common: CommonOptions

    mutating func validate() throws {
        guard (0...10_000).contains(lines) else { throw ValidationError("--lines: 0 to 10000") }
    }

    mutating func run() throws {
        let failure = UnitFailure.gather(unit, lines: lines)
        let root = "root@\(failure.host)"
        let sender = from ?? Environment.value("MAILD_UNIT_FAILED_FROM") ?? root
        var recipients = to
        if recipients.isEmpty {
            recipients = Environment.value("MAILD_UNIT_FAILED_TO").map { Self.addresses($0) } ?? Self.root(root)
        }
        let job = failure.job(from: sender, to: recipients).json
        let stream = try common.connect(to: .submit)
        let report = SubmissionReport(isSingle: true, isJSON: common.json)
        var pipeline = Pipeline(stream, .job(job), report) { [common] () throws(Failure) in
            try common.connect(to: .submit)
        }
        let status = try pipeline.run()
        if status != .done { throw Failure(status, nil) }
    }

    /// Whom /etc/aliases names for root, else root of this machine.
    private static func root(_ address: String) -> [String] {
        let aliases = LocalUser.aliases()
        return aliases.has("root") ? aliases.resolve("root") : [address]
    }

    /// Several are separated by commas or blanks.
    private static func addresses(_ text: String) -> [String] {
        text.split { $0 == "," || $0 == " " }.map(String.init)
    }
}
