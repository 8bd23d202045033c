// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailTelemetry
import NIOHTTP1
import Testing

@Suite("What is served under which path") struct RoutesTests {
    private let stage = Stage()
    private var routes: MetricsRoutes { MetricsRoutes(events: stage.events, gauges: stage.gauges) }

    private func text(_ answer: HTTPAnswer) -> String { String(decoding: answer.body, as: UTF8.self) }

    @Test(
        "paths and methods",
        arguments: [
            (HTTPMethod.GET, "/", HTTPResponseStatus.ok), (.HEAD, "/metrics", .ok), (.GET, "/metrics?x=1", .ok),
            (.GET, "/status.json", .ok), (.GET, "/-/ready", .serviceUnavailable),
            (.GET, "/-/healthy", .serviceUnavailable), (.POST, "/metrics", .methodNotAllowed),
            (.DELETE, "/", .methodNotAllowed), (.OPTIONS, "/-/ready", .methodNotAllowed), (.GET, "/nothing", .notFound),
            (.POST, "/nothing", .notFound), (.GET, "", .notFound), (.GET, "/metrics/", .notFound),
            (.GET, "/../metrics", .notFound), (.OPTIONS, "*", .notFound), (.GET, "http://x/metrics", .notFound),
        ])
    func table(method: HTTPMethod, uri: String, status: HTTPResponseStatus) {
        let answer = routes.answer(method, uri)
        #expect(answer.status == status)
        #expect(answer.extra.contains { $0.name == "Allow" && $0.value == "GET, HEAD" } == (status.code == 405))
    }

    @Test("the probes follow the gauges, each its own")
    func probes() {
        stage.gauges.change { $0.healthy = true }
        #expect(routes.answer(.GET, "/-/ready").status == .serviceUnavailable)
        #expect(routes.answer(.GET, "/-/healthy").status == .ok)
        stage.gauges.change { $0.ready = true }
        #expect(text(routes.answer(.GET, "/-/ready")) == "ready\n")
        stage.gauges.change { $0.healthy = false }
        #expect(routes.answer(.GET, "/-/healthy").status == .serviceUnavailable)
    }

    @Test("the scraper gets the format that it asked for")
    func formats() {
        let plain = routes.answer(.GET, "/metrics")
        #expect(plain.type == "text/plain; version=0.0.4; charset=utf-8")
        let open = routes.answer(.GET, "/metrics", accept: "application/openmetrics-text; version=1.0.0")
        #expect(open.type == "application/openmetrics-text; version=1.0.0; charset=utf-8")
        #expect(text(open).hasSuffix("# EOF\n"))
        #expect(!text(plain).contains("# EOF"))
    }

    @Test("the page needs nothing from elsewhere and allows nothing but its own nonce")
    func page() throws {
        let answer = routes.answer(.GET, "/")
        #expect(answer.type == "text/html; charset=utf-8")
        let policy = try #require(answer.extra.first { $0.name == "Content-Security-Policy" }).value
        let start = try #require(policy.firstRange(of: "script-src 'nonce-")).upperBound
        let nonce = policy[start...].prefix { $0 != "'" }
        #expect(nonce.count >= 20)
        #expect(policy.hasPrefix("default-src 'none'; "))
        #expect(!policy.contains("unsafe"))
        let html = text(answer)
        #expect(html.contains("<style nonce=\"\(nonce)\">"))
        #expect(html.contains("<script nonce=\"\(nonce)\">"))
        // The only address in it is the name of SVG.
        #expect(html.ranges(of: "http://").count == html.ranges(of: "http://www.w3.org/2000/svg").count)
        for forbidden in ["https://", " style=", " onclick=", "innerHTML", " src="] {
            #expect(!html.contains(forbidden), "\(forbidden)")
        }
        let again = routes.answer(.GET, "/")
        #expect(!text(again).contains(nonce))
    }

    @Test("the page asks for no element that it does not have")
    func elements() {
        let html = text(routes.answer(.GET, "/"))
        for match in html.matches(of: /(?:put|element|draw)\('([a-z-]+)'[,)]/) {
            #expect(html.contains("id=\"\(match.1)\""), "\(match.1)")
        }
        for state in ["ready", "running", "scheduled", "held", "failed"] {
            #expect(html.contains("id=\"jobs-\(state)\""))
            #expect(html.contains("data-line=\"jobs-\(state)\""))
        }
    }

    @Test("the page's numbers are JSON whatever a relay is called")
    func status() {
        stage.events.started(version: "0.1.0")
        stage.events.accepted(kind: 0, jobs: 3)
        stage.gauges.change { gauges in
            gauges.ready = true
            gauges.queues = [
                Gauges.Queue(number: 0, jobs: [Gauges.Jobs(ready: 7)], oldestReadySeconds: .infinity)
            ]
            gauges.relays = [Gauges.Relay(name: "a\"b\\c\u{1}ü", connections: 2, idle: 1)]
        }
        let expected = """
            {"version":"0.1.0","at":1800000000.0,"ready":true,"healthy":false,"paused":false,\
            "workers":{"target":0,"idle":0,"busy":0},\
            "jobs":{"ready":7,"running":0,"scheduled":0,"held":0,"failed":0},"oldest_ready_seconds":null,\
            "accepted":3,"rejected":0,"attempts":0,"attempt_seconds":0.0,"delivered":0,"gone_failed":0,\
            "spool_bytes":0,"clients":0,\
            "queues":[{"name":"default","ready":7,"running":0,"scheduled":0,"held":0,"failed":0,\
            "oldest_ready_seconds":null,"paused":false}],\
            "relays":[{"name":"a\\"b\\\\c\\u0001ü","connections":2,"idle":1,"away":false,\
            "waiting":0,"spared":null}],"failures":[]}
            """
        #expect(text(routes.answer(.GET, "/status.json")) == expected)
    }
}
