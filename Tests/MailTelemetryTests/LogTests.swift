// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailJob
import MailTelemetry
import Systemd
import Testing

@Suite("What the log tells") struct LogTests {
    private typealias Line = CapturingSink.Line
    private static let job = JobID(raw: 123_456_789_012_345)

    private func settled(
        _ state: JobState, _ verdicts: [Trial], relay: String = "main"
    ) -> Line? {
        let stage = Stage()
        stage.events.settled(
            job: Self.job, kind: 0, queue: 0, state: state, attempts: 2, endToEndSeconds: 1.5, verdicts: verdicts,
            relay: relay)
        return stage.lines.first
    }

    @Test("a delivered job is told at info with its id, its recipients and the relay's last word")
    func delivered() {
        let line = settled(
            .delivered, [Trial(recipient: "a@example.com", verdict: .delivered(Reply(250, "2.0.0", "Ok: queued as 7")))]
        )
        let expected = Line(
            priority: .info, message: "\(Self.job) delivered: a@example.com by main: 250 2.0.0 Ok: queued as 7",
            fields: [
                "JOB": "\(Self.job)", "KIND": "email", "ATTEMPTS": "2", "SECONDS": "1.500", "RELAY": "main",
            ])
        #expect(line == expected)
    }

    @Test("a deferred or failed job names those recipients that caused it")
    func causes() {
        let verdicts: [Trial] = [
            Trial(recipient: "ok@example.com", verdict: .delivered(Reply(250))),
            Trial(recipient: "later@example.com", verdict: .deferred(Reply(451, "4.7.1", "wait"))),
            Trial(recipient: "lost@example.com", verdict: .unknown(Reply(0, "", "connection lost"))),
            Trial(recipient: "gone@example.com", verdict: .rejected(Reply(550, "5.1.1", "no such user"))),
        ]
        let deferred = settled(.scheduled, verdicts)
        #expect(deferred?.priority == .notice)
        #expect(
            deferred?.message == "\(Self.job) deferred: later@example.com, lost@example.com, gone@example.com "
                + "by main: 451 4.7.1 wait")
        let failed = settled(.failed, verdicts)
        #expect(failed?.priority == .warning)
        #expect(failed?.message == "\(Self.job) failed: gone@example.com by main: 550 5.1.1 no such user")
    }

    @Test("a job that ran out of attempts names those that were put off")
    func outOfAttempts() {
        let failed = settled(
            .failed, [Trial(recipient: "later@example.com", verdict: .deferred(Reply(451, "4.7.1", "wait")))])
        #expect(failed?.message == "\(Self.job) failed: later@example.com by main: 451 4.7.1 wait")
    }

    @Test("many recipients are counted, not listed")
    func many() {
        let verdicts = (1...1000).map { Trial(recipient: "r\($0)@example.com", verdict: .delivered(Reply(250))) }
        let line = settled(.delivered, verdicts)
        #expect(
            line?.message == "\(Self.job) delivered: r1@example.com, r2@example.com, r3@example.com and others: 997 "
                + "by main: 250")
    }

    @Test("where no server spoke there is no code")
    func withoutCode() {
        let line = settled(
            .ready, [Trial(recipient: "a@example.com", verdict: .deferred(Reply(0, "", "connection refused")))])
        #expect(line?.message == "\(Self.job) deferred: a@example.com by main: connection refused")
    }

    @Test(
        "each end has its word and its level",
        arguments: [
            (JobState.delivered, "delivered", Priority.info), (.scheduled, "deferred", .notice),
            (.ready, "deferred", .notice), (.failed, "failed", .warning), (.expired, "expired", .warning),
            (.held, "held", .warning), (.cancelled, "cancelled", .notice),
        ])
    func words(state: JobState, word: String, priority: Priority) {
        let line = settled(state, [], relay: "")
        #expect(line?.message == "\(Self.job) \(word)")
        #expect(line?.priority == priority)
        #expect(line?.fields["RELAY"] == nil)
    }

    @Test("without addresses the log has the recipient's domain, and replies are searched for addresses too")
    func hiddenAddresses() {
        let stage = Stage()
        stage.events.showsAddresses = false
        stage.events.settled(
            job: Self.job, kind: 0, queue: 0, state: .failed, attempts: 1, endToEndSeconds: 1,
            verdicts: [
                Trial(
                    recipient: "ann@example.com",
                    verdict: .rejected(Reply(550, "5.1.1", "<ann@example.com>: no such user")))
            ],
            relay: "main")
        #expect(
            stage.lines.first?.message
                == "\(Self.job) failed: *@example.com by main: 550 5.1.1 <*@example.com>: no such user")
    }

    @Test(
        "an address is cut wherever it stands in a text",
        arguments: [
            ("ann@example.com", "*@example.com"), ("<a.b+c@x.example>,d@y", "<*@x.example>,*@y"),
            ("\"ann \\\" lee\"@x.example is full", "*@x.example is full"), ("jörg@x.example", "*@x.example"),
            ("to:ann@x", "to:*@x"), ("at @ nine", "at @ nine"), ("no address", "no address"), ("", ""),
            ("a@b@c", "*@*@c"), ("x\"@y", "*@y"),
        ])
    func cutAddresses(text: String, hidden: String) {
        #expect(HiddenAddresses.text(text) == hidden)
    }

    @Test("at level warning a delivered job is counted and not told")
    func quiet() {
        let stage = Stage(level: .warning)
        for state in [JobState.delivered, .scheduled, .failed] {
            stage.events.settled(
                job: Self.job, kind: 0, queue: 0, state: state, attempts: 1, endToEndSeconds: 1, verdicts: [],
                relay: "main")
        }
        #expect(stage.lines.map(\.message) == ["\(Self.job) failed"])
        #expect(stage.events.totals.delivered == 1)
    }

    @Test("a flood of one kind is one line a second, which says how many were kept silent")
    func flood() {
        let stage = Stage()
        let relay = stage.events.relayHandle("main")
        for _ in 0..<10 { stage.events.relayUnreachable(relay: relay, reason: "refused") }
        stage.clock.advance(seconds: 0.999)
        stage.events.relayUnreachable(relay: relay, reason: "refused")
        stage.clock.advance(seconds: 0.002)
        stage.events.relayUnreachable(relay: relay, reason: "refused")
        stage.events.relayUnreachable(relay: stage.events.relayHandle("other"), reason: "refused")
        let lines = stage.lines
        #expect(lines.map { $0.fields["SIMILAR_BEFORE"] } == [nil, "10", nil])
        #expect(lines.map { $0.fields["RELAY"] } == ["main", "main", "other"])
        #expect(stage.samples[#"maild_relay_unreachable_total{relay="main"}"#] == 12)
    }

    @Test("each of the spool's errors is one line a second, however often it comes back; another is told at once")
    func spoolErrors() {
        let stage = Stage()
        for _ in 0..<5 {
            stage.events.spoolFailed("the database system is starting up")
            stage.events.spoolFailed("connection refused")
        }
        stage.clock.advance(seconds: 1.001)
        stage.events.spoolFailed("the database system is starting up")
        for number in 0..<100 { stage.events.spoolFailed("page \(number) is damaged") }
        let lines = stage.lines
        #expect(
            lines.prefix(3).map(\.message) == [
                "spool: the database system is starting up", "spool: connection refused",
                "spool: the database system is starting up",
            ])
        #expect(lines.prefix(3).map { $0.fields["SIMILAR_BEFORE"] } == [nil, nil, "4"])
        #expect(lines.count == 103, "what was not said before is never kept silent")
        #expect(stage.samples["maild_store_errors_total"] == 111)
    }

    @Test("the daemon's life is told in order, with levels")
    func life() {
        let stage = Stage(level: .info)
        let events = stage.events
        events.started(version: "0.1.0")
        events.recovered(jobs: 12)
        events.scaled(from: 0, to: 8)
        events.ready(seconds: 0.25)
        events.paused(true)
        events.paused(false)
        events.reloaded(changed: ["workers", "log_level"], error: nil)
        events.reloaded(changed: [], error: nil)
        events.reloaded(changed: [], error: "maild.toml:3: no")
        events.clientRefused(reason: "quota_exceeded")
        events.refused(error: "parse_error", lines: 2)
        events.spoolFailed("disk I/O error")
        events.stopping(signal: "SIGTERM")
        events.drained(seconds: 1, givenBack: 2)
        events.clientConnected()
        events.clientGone()
        let told = stage.lines.map { "\($0.priority.name): \($0.message)" }
        #expect(
            told == [
                "notice: maild 0.1.0 starts", "notice: unfinished jobs found in the spool: 12", "notice: workers: 8",
                "notice: ready", "notice: paused: no job is begun until it is resumed", "notice: resumed",
                "notice: configuration changed", "notice: configuration read again: nothing changed",
                "error: configuration not changed: maild.toml:3: no", "notice: client refused: quota_exceeded",
                "info: lines refused: 2", "error: spool: disk I/O error", "notice: stopping: SIGTERM",
                "notice: drained; jobs given back to the spool: 2",
            ])
        let ids = stage.sink.messageIDs
        #expect(ids.count == told.count)
        // Two of them are reloads.
        #expect(Set(ids).count == told.count - 1)
        #expect(ids.allSatisfy { $0.utf8.count == 32 && $0.allSatisfy(\.isHexDigit) })
    }

    @Test("accepted jobs are told many in a line, each by its name, with its trace where it has one")
    func accepted() throws {
        let stage = Stage(level: .info)
        stage.events.know(queues: ["bulk": 3], configured: ["bulk"])
        let parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
        let trace = try #require(TraceContext(parent: parent.utf8))
        let jobs = (1...70).map {
            AcceptedJob(id: JobID(raw: $0), queue: 3, state: .ready, trace: $0 == 70 ? trace : nil)
        }
        stage.events.tell(jobs, kind: 0, queue: 3, user: 1000)
        stage.events.tell([jobs[0]], kind: 0, user: 1001)
        let lines = stage.lines
        #expect(lines.map { $0.fields["JOB"]?.split(separator: ",").count } == [32, 32, 6, 1])
        #expect(lines[0].message == "\(jobs[0].id) to \(jobs[31].id) accepted from uid 1000")
        #expect(lines[3].message == "\(jobs[0].id) accepted from uid 1001")
        #expect(lines.map { $0.fields["QUEUE"] } == ["bulk", "bulk", "bulk", nil])
        #expect(lines.map { $0.fields["TRACE_ID"] } == [nil, nil, "0af7651916cd43dd8448eb211c80319c", nil])
        #expect(lines[2].fields["SPAN_ID"] == "b7ad6b7169203331")
        #expect(lines.allSatisfy { $0.fields["SUBMITTER_UID"] != nil && $0.priority == .info })
    }

    @Test("dropped lines are counted in the metrics")
    func dropped() {
        let clock = HandClock()
        // No line fits into nothing.
        let journal = Journal(CapturingSink(), fieldPrefix: "", pendingBytesMax: 0)
        let events = Events(kinds: ["email"], journal: journal, clock: clock)
        let routes = MetricsRoutes(events: events, gauges: HandGauges())
        for expected in [2, 4] {
            events.paused(true)
            events.paused(false)
            let text = String(decoding: routes.answer(.GET, "/metrics").body, as: UTF8.self)
            #expect(text.contains("\nmaild_log_lines_dropped_total \(expected)\n"))
        }
    }
}
