// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailIntake
import MailJob
import MailSpool
import MailTelemetry
import NIOCore
import Systemd
import Testing

@Suite("Runs of accepted jobs") struct AcceptedRunsTests {
    private final class Nobody: ReceiptSink {
        func committed(_ chunks: [Chunk]) {}
    }

    private let events = Events(kinds: ["email"], journal: Journal(NoLog(), fieldPrefix: ""))

    private func chunk(_ queues: [UInt16], uid: UInt32, from first: Int64) -> Chunk {
        let submissions = queues.map { queue in
            Submission(range: 0..<0, queue: queue, expiresAt: WallTime(milliseconds: 1))
        }
        let chunk = Chunk(bytes: ByteBuffer(), submissions: submissions, uid: uid, sink: Nobody())
        chunk.firstID = JobID(raw: first)
        return chunk
    }

    /// Of each run: user, queue, number of jobs.
    private func numbers(_ runs: AcceptedRuns) -> [[Int]] {
        runs.runs.map { [Int($0.uid), Int($0.queue), $0.jobs] }
    }

    @Test("reads of one user are one run a queue, also where these alternate; those of another begin anew")
    func users() {
        let app = events.appHandle("other")
        var runs = AcceptedRuns(wantsEach: false)
        runs.add(chunk([0, 3, 0], uid: 7, from: 1), app: app)
        runs.add(chunk([3, 0], uid: 7, from: 1000), app: app)
        runs.add(chunk([0], uid: 8, from: 2000), app: app)
        runs.add(chunk([0], uid: 7, from: 3000), app: app)
        #expect(numbers(runs) == [[7, 0, 3], [7, 3, 2], [8, 0, 1], [7, 0, 1]])
        #expect(runs.runs.allSatisfy { $0.each.isEmpty }, "nobody wants to know")
    }

    @Test("one user's connections may be of two apps, which are counted apart")
    func apps() {
        var runs = AcceptedRuns(wantsEach: false)
        runs.add(chunk([0], uid: 7, from: 1), app: events.appHandle("shop"))
        runs.add(chunk([0], uid: 7, from: 1000), app: events.appHandle("cron"))
        #expect(runs.runs.map(\.app.name) == ["shop", "cron"] && numbers(runs) == [[7, 0, 1], [7, 0, 1]])
    }

    @Test("what was refused, or was there before, is in no run")
    func others() {
        let mixed = chunk([0, 0, 0, 0], uid: 7, from: 1)
        mixed.refusals[1] = .full(message: "")
        mixed.repeats[2] = Repeat(id: JobID(raw: 5), state: .ready)
        let none = chunk([0], uid: 7, from: 5000)
        none.refusals[0] = .full(message: "")
        var runs = AcceptedRuns(wantsEach: true)
        for chunk in [none, mixed, none] { runs.add(chunk, app: events.appHandle("other")) }
        #expect(numbers(runs) == [[7, 0, 2]])
        #expect(runs.runs[0].each.map(\.id) == [JobID(raw: 1), JobID(raw: 1).advanced(by: 1)])
    }
}
