// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailJob
import NIOHTTP1

/// What an exchange means for the job: a function of the answer, or of its absence, and the clock.
package struct WebhookVerdict: Equatable {
    package var verdict: Verdict
    /// Seconds from now that the server asked for.
    package var notBefore: Double?
    /// Nothing came about with the server, which is no word on the job.
    package var trouble: Reply?

    package init(_ result: Result<HTTPResponse, HTTPFailure>, now: WallTime) {
        switch result {
        case .success(let response): self.init(response, now: now)
        case .failure(let failure): self.init(failure)
        }
    }

    private init(_ response: HTTPResponse, now: WallTime) {
        var kept = KeptText.line(response.body, keeping: .beginning)
        if !response.isWhole, !kept.isEmpty, !kept.hasSuffix("…") { kept.append("…") }
        let phrase = HTTPResponseStatus(statusCode: response.status).reasonPhrase
        let reply = Reply(response.status, "", kept.isEmpty ? phrase : kept)
        switch response.status {
        case 200..<300: verdict = .delivered(reply)
        // RFC 9110 §15.5.9, RFC 8470 §5.2, RFC 6585 §4: these say themselves that another time will do.
        case 408, 425, 429, 500..<600:
            verdict = .deferred(reply)
            notBefore = RetryAfter.seconds(response.headers.first(name: "Retry-After"), now: now)
        case 300..<400:
            let origin = response.headers.first(name: "Location").map { " to \(Self.shown($0))" } ?? ""
            verdict = .rejected(Reply(response.status, "", "it redirects\(origin), which is not followed"))
        default: verdict = .rejected(reply)
        }
    }

    private init(_ failure: HTTPFailure) {
        let reply = Reply(0, "", failure.reason)
        switch failure.kind {
        case .forbidden: verdict = .rejected(reply)
        case .unreachable, .unsent: verdict = .deferred(reply)
        case .unanswered: verdict = .unknown(reply)
        }
        if failure.kind != .forbidden { trouble = reply }
    }

    /// Of a URL the origin, of anything else its beginning.
    private static func shown(_ location: String) -> String {
        (try? WebURL(parsing: location))?.origin ?? KeptText.line(location.utf8, keeping: .beginning, bytesMax: 80)
    }

    /// RFC 9110 §15.4.8–9: the two redirects that keep method and body. Never from TLS into the clear.
    package static func redirect(_ response: HTTPResponse, from url: WebURL) -> WebURL? {
        guard response.status == 307 || response.status == 308,
            let location = response.headers.first(name: "Location"),
            let next = try? url.resolving(location), next.isSecure || !url.isSecure
        else { return nil }
        return next
    }
}
