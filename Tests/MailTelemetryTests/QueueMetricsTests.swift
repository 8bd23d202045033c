// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailJob
import MailTelemetry
import Testing

@Suite("Metrics of queues") struct QueueMetricsTests {
    private let stage = Stage()

    private func accepted(_ queue: String) -> Double? {
        stage.samples["maild_jobs_accepted_total{queue=\"\(queue)\",type=\"email\"}"]
    }

    private func labels() -> Set<String> {
        Set(stage.text.matches(of: /maild_jobs_accepted_total\{queue="([^"]*)"/).map { String($0.1) })
    }

    @Test("a queue of the configuration is there before its first job, with all that is told of queues")
    func configured() {
        stage.events.know(queues: ["default": 0, "bulk": 1], configured: ["bulk"])
        let samples = stage.samples
        for queue in ["default", "bulk"] {
            for name in ["wait_seconds_count", "oldest_ready_age_seconds", "paused"] {
                #expect(samples["maild_queue_\(name){queue=\"\(queue)\"}"] == 0)
            }
            for state in ["ready", "scheduled", "running", "held", "failed"] {
                #expect(samples["maild_jobs{queue=\"\(queue)\",type=\"email\",state=\"\(state)\"}"] == 0)
            }
        }
    }

    @Test("of queues that the configuration no longer names a bounded number has a label, the rest shares one")
    func bounded() {
        let names = (1...300).map { ("q\($0)", UInt16($0)) }
        stage.events.know(queues: Dictionary(uniqueKeysWithValues: names), configured: ["q300"])
        #expect(labels() == ["default", "q300"])
        for number in UInt16(0)...301 { stage.events.accepted(kind: 0, queue: number, jobs: 1) }
        #expect(labels().count == 2 + Limits.formerQueueLabelsMax + 1)
        #expect(accepted("q300") == 1)
        // Number 301 was never given to a name.
        #expect(accepted("other") == Double(300 - Limits.formerQueueLabelsMax))
        #expect(stage.events.totals.accepted == 302)
    }

    @Test("a queue that becomes one of the configuration leaves the others, and its counts stay where they were")
    func reload() {
        stage.events.know(queues: [:], configured: [])
        stage.events.accepted(kind: 0, queue: 5, jobs: 2)
        #expect(accepted("other") == 2)
        stage.events.know(queues: ["late": 5], configured: ["late"])
        stage.events.accepted(kind: 0, queue: 5, jobs: 3)
        #expect(accepted("late") == 3)
        #expect(accepted("other") == 2)
        stage.events.know(queues: ["late": 5], configured: [])
        stage.events.accepted(kind: 0, queue: 5, jobs: 4)
        #expect(accepted("late") == 7, "a counter never begins anew")
    }

    @Test("a queue that is gone from the configuration is shown while it has jobs, and stands at zero after that")
    func former() {
        stage.events.know(queues: ["old": 9], configured: [])
        #expect(!labels().contains("old"))
        stage.gauges.change { gauges in
            gauges.queues = [
                Gauges.Queue(number: 0), Gauges.Queue(number: 8),
                Gauges.Queue(number: 9, jobs: [Gauges.Jobs(ready: 4)], oldestReadySeconds: 7),
            ]
        }
        #expect(stage.samples[#"maild_jobs{queue="old",type="email",state="ready"}"#] == 4)
        #expect(stage.samples[#"maild_queue_oldest_ready_age_seconds{queue="old"}"#] == 7)
        #expect(labels() == ["default", "old"], "an empty one that nobody names is not shown")
        stage.gauges.change { $0.queues = [] }
        #expect(stage.samples[#"maild_jobs{queue="old",type="email",state="ready"}"#] == 0)
        #expect(stage.samples[#"maild_queue_oldest_ready_age_seconds{queue="old"}"#] == 0)
    }

    @Test("queues that share a label add up, and the oldest of them is told")
    func merged() {
        stage.events.know(queues: [:], configured: [])
        stage.gauges.change { gauges in
            gauges.queues = [
                Gauges.Queue(number: 7, jobs: [Gauges.Jobs(ready: 4)], oldestReadySeconds: 7),
                Gauges.Queue(number: 8, jobs: [Gauges.Jobs(ready: 1, held: 2)], oldestReadySeconds: 9, isPaused: true),
            ]
        }
        #expect(stage.samples[#"maild_jobs{queue="other",type="email",state="ready"}"#] == 5)
        #expect(stage.samples[#"maild_jobs{queue="other",type="email",state="held"}"#] == 2)
        #expect(stage.samples[#"maild_queue_oldest_ready_age_seconds{queue="other"}"#] == 9)
        #expect(stage.samples[#"maild_queue_paused{queue="other"}"#] == 1)
    }
}
