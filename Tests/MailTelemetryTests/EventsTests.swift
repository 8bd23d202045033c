// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailJob
import MailTelemetry
import Systemd
import Testing

@Suite("Events") struct EventsTests {
    @Test("a job's way through maild can be read from the metrics")
    func way() {
        let stage = Stage()
        let events = stage.events
        events.scaled(from: 0, to: 2)
        events.know(queues: ["default": 0, "bulk": 3], configured: ["default", "bulk"])
        events.accepted(kind: 0, queue: 3, jobs: 3)
        events.committed(rows: 3, seconds: 0.002)
        events.queueWait(queue: 3, seconds: 0.02)
        events.attemptBegan(worker: 1, job: JobID(raw: 1), kind: 0, queue: 0, attempt: 1)
        events.attemptEnded(worker: 1, kind: 0, seconds: 0.25, result: .delivered)
        events.attemptEnded(worker: 1, kind: 0, seconds: 0.75, result: .deferred)
        events.settled(
            job: JobID(raw: 1), kind: 0, queue: 3, state: .delivered, attempts: 1, endToEndSeconds: 2,
            verdicts: [Trial(recipient: "a@example.com", verdict: .delivered(Reply(250)))], relay: "main")
        let samples = stage.samples
        #expect(samples[#"maild_jobs_accepted_total{queue="bulk",type="email"}"#] == 3)
        #expect(samples["maild_store_commit_seconds_count"] == 1)
        #expect(samples["maild_store_commit_batch_jobs_sum"] == 3)
        #expect(samples[#"maild_queue_wait_seconds_bucket{queue="bulk",le="0.025"}"#] == 1)
        #expect(samples[#"worker_jobs_processed_total{worker_id="1",type="email"}"#] == 2)
        #expect(samples[#"worker_jobs_processed_total{worker_id="0",type="email"}"#] == 0)
        #expect(samples[#"maild_job_attempts_total{type="email",result="deferred"}"#] == 1)
        #expect(samples[#"maild_job_duration_seconds_sum{type="email",result="deferred"}"#] == 0.75)
        #expect(samples[#"maild_jobs_completed_total{queue="bulk",type="email",outcome="delivered"}"#] == 1)
        #expect(samples[#"maild_jobs_completed_total{queue="default",type="email",outcome="delivered"}"#] == 0)
        #expect(samples[#"maild_job_end_to_end_seconds_sum{type="email",outcome="delivered"}"#] == 2)
        #expect(samples["maild_workers_busy_seconds_total"] == 1)
        // The article's panel: the mean length of an attempt.
        let sum = samples[#"worker_jobs_process_time_seconds_sum{worker_id="1",type="email"}"#]
        let count = samples[#"worker_jobs_process_time_seconds_count{worker_id="1",type="email"}"#]
        #expect(sum == 1)
        #expect(count == 2)
    }

    @Test("all label sets start at zero")
    func zeros() {
        let stage = Stage(kinds: ["email", "sms"])
        _ = stage.events.relayHandle("main")
        let samples = stage.samples
        for kind in ["email", "sms"] {
            #expect(samples["maild_jobs_accepted_total{queue=\"default\",type=\"\(kind)\"}"] == 0)
            for result in ["delivered", "deferred", "failed", "unknown"] {
                #expect(samples["maild_job_attempts_total{type=\"\(kind)\",result=\"\(result)\"}"] == 0)
            }
            for outcome in ["delivered", "failed", "expired", "cancelled"] {
                let labels = "queue=\"default\",type=\"\(kind)\",outcome=\"\(outcome)\""
                #expect(samples["maild_jobs_completed_total{\(labels)}"] == 0)
            }
        }
        for stage in ["connect", "ehlo", "starttls", "auth", "mail", "rcpt", "data", "body", "quit"] {
            for group in ["2xx", "3xx", "4xx", "5xx", "other"] {
                let labels = "relay=\"main\",stage=\"\(stage)\",class=\"\(group)\""
                #expect(samples["maild_smtp_replies_total{\(labels)}"] == 0)
            }
        }
        #expect(samples[#"maild_smtp_sessions_total{relay="main",tls="no"}"#] == 0)
        #expect(samples[#"maild_smtp_sessions_total{relay="main",tls="yes"}"#] == 0)
    }

    @Test("an error is counted by its name, one that nobody knows as other")
    func refused() {
        let stage = Stage()
        stage.events.refused(error: "parse_error", lines: 2)
        stage.events.refused(error: "no such error", lines: 1)
        let samples = stage.samples
        #expect(samples[#"maild_jobs_rejected_total{reason="parse_error"}"#] == 2)
        #expect(samples[#"maild_jobs_rejected_total{reason="other"}"#] == 1)
        #expect(samples[#"maild_jobs_rejected_total{reason="queue_full"}"#] == 0)
        #expect(stage.events.totals.rejected == 3)
    }

    @Test("a kind that nobody knows is counted with the last one and harms nothing", arguments: [-1, 2, 1000])
    func unknownKind(kind: Int) {
        let stage = Stage(kinds: ["email", "sms"])
        stage.events.accepted(kind: kind, jobs: 1)
        stage.events.attemptBegan(worker: 0, job: JobID(raw: 1), kind: kind, queue: 0, attempt: 1)
        stage.events.attemptEnded(worker: 0, kind: kind, seconds: 1, result: .failed)
        #expect(stage.samples[#"maild_jobs_accepted_total{queue="default",type="sms"}"#] == 1)
        #expect(stage.samples[#"maild_job_attempts_total{type="sms",result="failed"}"#] == 1)
    }

    @Test("replies are counted by stage and class")
    func replies() {
        let stage = Stage()
        let relay = stage.events.relayHandle("main")
        #expect(stage.events.relayHandle("main") === relay)
        for code in [250, 299, 354, 421, 550, 599, 199, 600, 0, -1] {
            stage.events.smtpReply(relay: relay, stage: .rcpt, code: code)
        }
        stage.events.smtpConnected(relay: relay, tls: true)
        stage.events.relayUnreachable(relay: relay, reason: "connection refused")
        let samples = stage.samples
        let counts = ["2xx", "3xx", "4xx", "5xx", "other"].map {
            samples["maild_smtp_replies_total{relay=\"main\",stage=\"rcpt\",class=\"\($0)\"}"]
        }
        #expect(counts == [2, 1, 1, 2, 4])
        #expect(samples[#"maild_smtp_sessions_total{relay="main",tls="yes"}"#] == 1)
        #expect(samples[#"maild_relay_unreachable_total{relay="main"}"#] == 1)
    }

    @Test("at most 64 workers have a number, the others share one")
    func manyWorkers() {
        let stage = Stage()
        stage.events.scaled(from: 0, to: 1024)
        for worker in [0, 63, 64, 1023] {
            stage.events.attemptEnded(worker: worker, kind: 0, seconds: 1, result: .delivered)
        }
        let samples = stage.samples
        let series = samples.keys.filter { $0.hasPrefix("worker_jobs_processed_total") }
        #expect(series.count == 65)
        #expect(samples[#"worker_jobs_processed_total{worker_id="63",type="email"}"#] == 1)
        #expect(samples[#"worker_jobs_processed_total{worker_id="other",type="email"}"#] == 2)
        #expect(stage.events.totals.attempts == 4)
        #expect(stage.events.totals.attemptSeconds == 4)
    }

    @Test("the worker's number can be left out")
    func withoutWorkerLabel() {
        let stage = Stage(workerLabel: false)
        stage.events.scaled(from: 0, to: 8)
        stage.events.attemptEnded(worker: 5, kind: 0, seconds: 1, result: .delivered)
        stage.events.attemptEnded(worker: 999, kind: 0, seconds: 1, result: .delivered)
        #expect(stage.samples[#"worker_jobs_processed_total{type="email"}"#] == 2)
        #expect(stage.samples[#"worker_jobs_process_time_seconds_sum{type="email"}"#] == 2)
        #expect(!stage.text.contains("worker_id"))
    }

    @Test("workers that went keep their numbers' counts, and are seen as soon as they begin")
    func shrinking() {
        let stage = Stage()
        stage.events.attemptBegan(worker: 3, job: JobID(raw: 1), kind: 0, queue: 0, attempt: 1)
        #expect(stage.samples[#"worker_jobs_processed_total{worker_id="3",type="email"}"#] == 0)
        stage.events.scaled(from: 4, to: 1)
        stage.events.attemptEnded(worker: 3, kind: 0, seconds: 1, result: .delivered)
        #expect(stage.samples[#"worker_jobs_processed_total{worker_id="3",type="email"}"#] == 1)
    }

    @Test("the totals are those of the metrics")
    func totals() {
        let stage = Stage(kinds: ["email", "sms"])
        stage.events.accepted(kind: 0, jobs: 5)
        stage.events.accepted(kind: 1, jobs: 2)
        for (state, kind) in [(JobState.delivered, 0), (.delivered, 1), (.failed, 0), (.expired, 1), (.scheduled, 0)] {
            stage.events.settled(
                job: JobID(raw: 1), kind: kind, queue: 0, state: state, attempts: 1, endToEndSeconds: 1, verdicts: [],
                relay: "")
        }
        var expected = Totals()
        expected.accepted = 7
        expected.delivered = 2
        expected.failed = 1
        expected.expired = 1
        #expect(stage.events.totals == expected)
    }

    @Test("a reload that fails leaves the time of the one in force")
    func reloads() {
        let stage = Stage()
        stage.events.started(version: "0.1.0")
        #expect(stage.samples[#"maild_build_info{version="0.1.0"}"#] == 1)
        #expect(stage.samples["maild_config_last_reload_successful"] == 1)
        #expect(stage.samples["maild_config_last_reload_timestamp_seconds"] == 1_800_000_000)
        stage.clock.advance(seconds: 60)
        stage.events.reloaded(changed: [], error: "maild.toml:3: workers: 0 is no number of workers")
        #expect(stage.samples["maild_config_last_reload_successful"] == 0)
        #expect(stage.samples["maild_config_last_reload_timestamp_seconds"] == 1_800_000_000)
        stage.events.reloaded(changed: ["workers"], error: nil)
        #expect(stage.samples["maild_config_last_reload_successful"] == 1)
        #expect(stage.samples["maild_config_last_reload_timestamp_seconds"] == 1_800_000_060)
    }
}
