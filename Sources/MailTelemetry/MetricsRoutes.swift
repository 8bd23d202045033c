// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import Exposition
import NIOHTTP1

/// What is served under which path. No I/O: a request's line in, an answer out.
package protocol HTTPRoutes: Sendable {
    /// `uri` is the request's target; a query is ignored. `accept` and `encoding` are the values of the headers Accept
    /// and Accept-Encoding.
    func answer(_ method: HTTPMethod, _ uri: String, accept: String, encoding: String) -> HTTPAnswer
}

/// The pages of maild itself.
package struct MetricsRoutes: HTTPRoutes {
    private let events: Events
    private let gauges: any GaugeSource

    package init(events: Events, gauges: any GaugeSource) {
        self.events = events
        self.gauges = gauges
    }

    package func answer(
        _ method: HTTPMethod, _ uri: String, accept: String = "", encoding: String = ""
    ) -> HTTPAnswer {
        var answer = answer(method, uri, accept)
        guard answer.status == .ok, answer.body.count >= Gzip.bytesMin else { return answer }
        answer.extra.append(("Vary", "Accept-Encoding"))
        guard Gzip.isAccepted(by: encoding), let packed = Gzip.compress(answer.body) else { return answer }
        answer.body = packed
        answer.extra.append(("Content-Encoding", "gzip"))
        return answer
    }

    private func answer(_ method: HTTPMethod, _ uri: String, _ accept: String) -> HTTPAnswer {
        guard let page = page(uri.prefix { $0 != "?" && $0 != "#" }, accept) else {
            return .text(.notFound, "not found: there are /, /metrics, /status.json, /-/ready and /-/healthy")
        }
        guard method == .GET || method == .HEAD else {
            var answer = HTTPAnswer.text(.methodNotAllowed, "only GET and HEAD")
            // RFC 9110 §15.5.6: 405 says what is allowed.
            answer.extra.append(("Allow", "GET, HEAD"))
            return answer
        }
        return page()
    }

    private func page(_ path: Substring, _ accept: String) -> (() -> HTTPAnswer)? {
        switch path {
        case "/": StatusPage.answer
        case "/metrics": { metrics(TextFormat(accepting: accept)) }
        case "/status.json": status
        case "/-/ready": { gauges.gauges().ready ? .text(.ok, "ready") : .text(.serviceUnavailable, "not ready") }
        case "/-/healthy":
            { gauges.gauges().healthy ? .text(.ok, "healthy") : .text(.serviceUnavailable, "not healthy") }
        default: nil
        }
    }

    private func metrics(_ format: TextFormat) -> HTTPAnswer {
        var body: [UInt8] = []
        body.reserveCapacity(64 << 10)
        events.expose(gauges.gauges(), format, into: &body)
        return HTTPAnswer(status: .ok, type: format.contentType, body: body, extra: [(name: "Vary", value: "Accept")])
    }

    private func status() -> HTTPAnswer {
        let document = StatusDocument(events: events, gauges: gauges.gauges())
        return HTTPAnswer(status: .ok, type: "application/json", body: Array(document.json.utf8))
    }
}
