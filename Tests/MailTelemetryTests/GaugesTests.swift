// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import Glibc
import MailTelemetry
import Testing

@Suite("Gauges") struct GaugesTests {
    @Test("a scrape shows how things stand at that moment")
    func gauges() {
        let stage = Stage(kinds: ["email", "sms"])
        stage.gauges.change { gauges in
            gauges.ready = true
            gauges.paused = true
            gauges.queues = [
                Gauges.Queue(
                    number: 0, jobs: [Gauges.Jobs(ready: 5, scheduled: 4, running: 3, held: 2, failed: 1)],
                    oldestReadySeconds: 1.5, isPaused: true)
            ]
            (gauges.workersIdle, gauges.workersBusy, gauges.workersTarget) = (5, 3, 6)
            gauges.spoolBytes = 4096
            gauges.clientConnections = 9
            gauges.relays = [Gauges.Relay(name: "main", connections: 2)]
        }
        let expected: [String: Double] = [
            "maild_ready": 1, #"maild_queue_paused{queue="default"}"#: 1,
            #"maild_jobs{queue="default",type="email",state="ready"}"#: 5,
            #"maild_jobs{queue="default",type="email",state="scheduled"}"#: 4,
            #"maild_jobs{queue="default",type="email",state="running"}"#: 3,
            #"maild_jobs{queue="default",type="email",state="held"}"#: 2,
            #"maild_jobs{queue="default",type="email",state="failed"}"#: 1,
            #"worker_jobs_running{type="email"}"#: 3,
            #"worker_jobs_running{type="sms"}"#: 0, #"worker_workers_running{type="email"}"#: 8,
            #"maild_queue_oldest_ready_age_seconds{queue="default"}"#: 1.5, #"maild_workers{state="idle"}"#: 5,
            #"maild_workers{state="busy"}"#: 3, "maild_workers_target": 6, "maild_store_bytes": 4096,
            "maild_client_connections": 9, #"maild_smtp_connections{relay="main"}"#: 2,
        ]
        let samples = stage.samples
        for (name, value) in expected { #expect(samples[name] == value, "\(name)") }
        stage.gauges.change { $0 = Gauges() }
        let later = stage.samples
        for name in expected.keys { #expect(later[name] == 0, "\(name)") }
    }

    @Test("the process tells of itself")
    func process() throws {
        let samples = Stage().samples
        let memory = try #require(samples["process_resident_memory_bytes"])
        #expect((1e6...1e11).contains(memory))
        #expect(try #require(samples["process_virtual_memory_bytes"]) >= memory)
        #expect(try #require(samples["process_cpu_seconds_total"]) > 0)
        #expect((3...100_000).contains(try #require(samples["process_open_fds"])))
        #expect(try #require(samples["process_max_fds"]) > 0)
        let age = Double(time(nil)) - (try #require(samples["process_start_time_seconds"]))
        #expect((-1...86_400).contains(age))
    }
}
