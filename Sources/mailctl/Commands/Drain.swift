// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import MailJob
import MailWire

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

struct Drain: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Let the queue run empty: new jobs are refused, waiting ones worked off.",
        discussion: """
            Waits until nothing is ready or running, and says what stays behind: scheduled, held and failed jobs. New \
            jobs are refused until `mailctl drain --stop`, or a restart; interrupting this command does not end it.
            """)

    @Flag(help: "Take new jobs again.") var stop = false
    @Flag(help: "Do not wait until the queue is empty.") var noWait = false
    @Option(help: ArgumentHelp("Wait no longer than this: seconds, or as in 15m, 2h.", valueName: "span"))
    var timeout: String?
    @OptionGroup var common: CommonOptions

    mutating func validate() throws {
        if let timeout, Measure.seconds(timeout) == nil {
            throw ValidationError("--timeout: \"\(timeout)\" is no span of time: write 90 (seconds), 15m or 2h.")
        }
        if stop, noWait || timeout != nil { throw ValidationError("--stop does not wait.") }
    }

    mutating func run() throws {
        var client = try ControlClient(common)
        let reply = try client.call("Drain", ["on": .bool(!stop)])
        var screen = Screen()
        if stop || noWait {
            let was = reply["was_draining"]?.bool == true
            let text = stop ? (was ? "new jobs are taken again" : "was not draining") : "draining"
            if common.json { try screen.document(reply) } else { try screen.line(text) }
            return try screen.flush()
        }
        let status = try waitUntilEmpty(&client)
        if common.json { try screen.document(status["counts"] ?? [:]) } else { try screen.line(Self.rest(status)) }
        try screen.flush()
    }

    private func waitUntilEmpty(_ client: inout ControlClient) throws(Failure) -> JSONValue {
        let clock = SystemClock()
        let end = timeout.flatMap { Measure.seconds($0) }.map { clock.monotonic() + $0 }
        var hasComplained = false
        while true {
            let status = try client.call("Status")
            let ready = status["counts"]?["ready"]?.int ?? 0
            let running = status["counts"]?["running"]?.int ?? 0
            if ready == 0, running == 0 { return status }
            if status["paused"]?.bool == true, !hasComplained {
                hasComplained = true
                StandardError.write("mailctl: maild is paused: nothing is begun until `mailctl resume`\n")
            }
            if let end, clock.monotonic() >= end {
                throw Failure(.tryAgain, "still \(ready) ready, \(running) running; new jobs are refused on")
            }
            usleep(Self.pauseMicroseconds)
        }
    }

    /// A status costs the daemon next to nothing.
    private static let pauseMicroseconds: UInt32 = 200_000

    private static func rest(_ status: JSONValue) -> String {
        let counts = ["scheduled", "held", "failed"].map { "\(status["counts"]?[$0]?.int ?? 0) \($0)" }
        return "empty: nothing ready, nothing running; \(counts.joined(separator: ", ")) stay"
    }
}
