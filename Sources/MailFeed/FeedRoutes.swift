// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import Exposition
import MailTelemetry
import NIOHTTP1
import Synchronization

/// What a feed serves by HTTP: its numbers, and probes.
struct FeedRoutes: HTTPRoutes {
    private let feeder: Feeder
    private let metrics: FeedMetrics

    init(_ feeder: Feeder, _ metrics: FeedMetrics) {
        self.feeder = feeder
        self.metrics = metrics
    }

    func answer(_ method: HTTPMethod, _ uri: String, accept: String, encoding: String) -> HTTPAnswer {
        guard method == .GET || method == .HEAD else {
            var answer = HTTPAnswer.text(.methodNotAllowed, "only GET and HEAD")
            // RFC 9110 §15.5.6: 405 says what is allowed.
            answer.extra.append((name: "Allow", value: "GET, HEAD"))
            return answer
        }
        let standing = feeder.now
        switch uri.prefix(while: { $0 != "?" && $0 != "#" }) {
        case "/metrics":
            let format = TextFormat(accepting: accept)
            var body: [UInt8] = []
            metrics.render(standing, format, into: &body)
            return HTTPAnswer(
                status: .ok, type: format.contentType, body: body, extra: [(name: "Vary", value: "Accept")])
        case "/-/ready":
            let isReady = standing.isConnected && standing.isLinked
            return isReady ? .text(.ok, "ready") : .text(.serviceUnavailable, "not ready")
        case "/-/healthy": return .text(.ok, "healthy")
        default: return .text(.notFound, "not found: there are /metrics, /-/ready and /-/healthy")
        }
    }
}
