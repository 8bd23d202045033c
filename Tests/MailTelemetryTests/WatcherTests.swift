// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailJob
import MailTelemetry
import Synchronization
import Testing

@Suite("Watchers") struct WatcherTests {
    private let stage = Stage()

    private func scaled(_ count: Int) { for number in 0..<count { stage.events.scaled(from: 0, to: number) } }

    @Test("events are kept from the moment of joining on, and no more once it left")
    func joins() throws {
        scaled(1)
        let watcher = try #require(stage.events.watchers.add(WatchFilter()) {})
        scaled(3)
        #expect(watcher.take().events.map(\.workers) == [0, 1, 2])
        stage.events.watchers.remove(watcher)
        scaled(1)
        #expect(watcher.take().events.isEmpty)
    }

    @Test("it is woken once, and again after it has found nothing")
    func wakes() throws {
        let woken = Atomic(0)
        let watcher = try #require(stage.events.watchers.add(WatchFilter()) { woken.add(1, ordering: .relaxed) })
        scaled(3)
        #expect(woken.load(ordering: .relaxed) == 1)
        #expect(watcher.take().events.count == 3)
        scaled(1)
        #expect(woken.load(ordering: .relaxed) == 1, "who has taken something looks again")
        #expect(watcher.take().events.count == 1)
        #expect(watcher.take().events.isEmpty)
        scaled(1)
        #expect(woken.load(ordering: .relaxed) == 2)
    }

    @Test("past its room events are counted, recipients too")
    func bounded() throws {
        let watcher = try #require(stage.events.watchers.add(WatchFilter()) {})
        let verdicts = (0..<999).map { Trial(recipient: "a\($0)@example.com", verdict: .delivered(Reply(250))) }
        for _ in 0..<20 {
            stage.events.settled(
                job: JobID(raw: 1), kind: 0, queue: 0, state: .delivered, attempts: 1, endToEndSeconds: 1,
                verdicts: verdicts, relay: "main")
        }
        let taken = watcher.take()
        #expect(taken.events.count == 16 && taken.missed == 4)
        scaled(1)
        #expect(watcher.take().missed == 0)
    }

    @Test("a filter takes a job's events by its id, its queue and where it stands then")
    func filters() throws {
        let watchers = stage.events.watchers
        let byID = try #require(watchers.add(WatchFilter(jobs: [JobID(raw: 1)])) {})
        let byQueue = try #require(watchers.add(WatchFilter(queue: 2)) {})
        let byState = try #require(watchers.add(WatchFilter(states: [.held])) {})
        for (id, queue) in [(Int64(1), UInt16(2)), (3, 4)] {
            let job = OperatedJob(id: JobID(raw: id), kind: 0, queue: queue, state: .held, by: 0)
            stage.events.held(job)
            stage.events.purged(OperatedJob(id: job.id, kind: 0, queue: queue, state: nil, by: 0))
        }
        scaled(1)
        stage.events.paused(true, queue: "two", number: 2)
        #expect(byID.take().events.map(\.name) == [.held, .purged])
        #expect(byQueue.take().events.map(\.name) == [.held, .purged, .paused])
        #expect(byState.take().events.map(\.job?.raw) == [1, 3])
    }

    @Test("what operators do is counted, told and logged")
    func operated() {
        let job = OperatedJob(id: JobID(raw: 7), kind: 0, queue: 0, state: .cancelled, by: 42)
        stage.events.cancelled(job)
        stage.events.operated(verb: "cancel", jobs: 1, by: 42)
        #expect(stage.samples[#"maild_jobs_operated_total{verb="cancel"}"#] == 1)
        #expect(stage.samples[#"maild_jobs_operated_total{verb="purge"}"#] == 0)
        #expect(stage.samples[#"maild_jobs_completed_total{queue="default",type="email",outcome="cancelled"}"#] == 1)
        #expect(
            stage.lines.map(\.message) == [
                "\(JobID(raw: 7)) cancelled by uid 42", "cancel by uid 42: jobs changed: 1",
            ])
        #expect(stage.lines[0].fields["OPERATOR_UID"] == "42")
    }
}
