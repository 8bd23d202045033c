// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailJob
import MailWire
import NIOCore
import NIOHTTP1

/// A job that is one HTTP request: its JSON goes to a URL, and the answer's status decides.
package final class WebhookKind: ConfiguredKind {
    package let type = WebhookSchema.type
    private let loop: any EventLoop
    private let observer: any KindObserver
    private let clock: any Clock
    private var plan: WebhookPlan
    private var client: HTTPClient
    /// Of earlier configurations, with requests under way.
    private var leaving: [ObjectIdentifier: HTTPClient] = [:]
    private var turnstile: Turnstile
    private var workers = Limits.workersDefault
    private var isClosed = false

    /// RFC 9110 §15.4 asks for a bound.
    private static let redirectsMax = 5
    /// A job whose hook was configured when it came and is not now is looked at again after so long.
    private static let missingHookSeconds = 60.0

    package static func schema(_ settings: WebhookSettings) -> any JobSchema {
        WebhookSchema(hooks: settings.hooks.map(\.name))
    }

    package static func plan(_ settings: WebhookSettings) throws(SettingsFault) -> WebhookPlan {
        try WebhookPlan(settings)
    }

    package convenience init(_ plan: WebhookPlan, loop: any EventLoop, observer: any KindObserver) {
        self.init(plan, loop: loop, observer: observer, clock: SystemClock())
    }

    package init(_ plan: WebhookPlan, loop: any EventLoop, observer: any KindObserver, clock: any Clock) {
        self.plan = plan
        self.loop = loop
        self.observer = observer
        self.clock = clock
        client = HTTPClient(plan.settings.client, trust: plan.trust, loop: loop)
        turnstile = Turnstile(limit: 1)
        staffed(by: workers)
    }

    /// Requests under way end by the old settings.
    package func apply(_ plan: WebhookPlan) {
        let old = client
        self.plan = plan
        client = HTTPClient(plan.settings.client, trust: plan.trust, loop: loop)
        leaving[ObjectIdentifier(old)] = old
        old.close { self.leaving[ObjectIdentifier(old)] = nil }
        staffed(by: workers)
    }

    package func staffed(by workers: Int) {
        self.workers = workers
        turnstile.limit = plan.settings.concurrencyMax ?? max(1, workers / 2)
    }

    package func close(done: @escaping () -> Void) {
        isClosed = true
        client.close(done: done)
    }

    package var reports: [TransportReport] { [] }

    // MARK: One job

    package func run(_ work: Work, done: @escaping (WorkResult) -> Void) {
        let fields: WebhookFields
        let call: WebhookCall
        do {
            fields = try WebhookFields(work.body)
            guard !isClosed else { return done(.waits("maild", Reply(0, "", "maild is stopping"), seconds: 0.1)) }
            guard let found = try WebhookCall(fields, work, plan) else {
                let cause = Reply(0, "", "[webhook.\(fields.hook ?? "")] is not configured")
                return done(.waits(type, cause, seconds: Self.missingHookSeconds))
            }
            call = found
        } catch {
            let verdict = Verdict.rejected(Reply(0, "", "\(error)"))
            return done(WorkResult(verdict, for: "", by: type))
        }
        let now = loop.seconds
        switch turnstile.enter(call.url.origin, at: now) {
        case .shut(let seconds, let cause): done(.waits(call.url.origin, cause, seconds: seconds))
        case .open(let isProbe):
            send(call, redirects: 0) { [self] result in end(call, result, isProbe, done) }
        }
    }

    private func send(
        _ call: WebhookCall, redirects: Int, done: @escaping (Result<HTTPResponse, HTTPFailure>) -> Void
    ) {
        client.send(call.request(at: clock.now())) { [self] result in
            guard case .success(let response) = result, redirects < Self.redirectsMax, !isClosed,
                let next = WebhookVerdict.redirect(response, from: call.url)
            else { return done(result) }
            send(call.redirected(to: next), redirects: redirects + 1, done: done)
        }
    }

    private func end(
        _ call: WebhookCall, _ result: Result<HTTPResponse, HTTPFailure>, _ isProbe: Bool,
        _ done: (WorkResult) -> Void
    ) {
        let verdict = WebhookVerdict(result, now: clock.now())
        let origin = call.url.origin
        let news = turnstile.leave(
            origin, isProbe: isProbe, trouble: verdict.trouble, at: loop.seconds, chance: Double.random(in: 0..<1))
        switch news {
        case .away(let seconds): observer.away(origin, cause: verdict.trouble?.text ?? "", seconds: seconds)
        case .back: observer.back(origin)
        case nil: break
        }
        var outcome = WorkResult(verdict.verdict, for: call.recipient, by: call.hook?.name ?? type)
        outcome.notBefore = verdict.notBefore
        outcome.ref = call.ref
        let link = result.link
        outcome.peer = link.peer
        outcome.tls = link.tls
        done(outcome)
    }
}

extension Result<HTTPResponse, HTTPFailure> {
    fileprivate var link: HTTPLink {
        switch self {
        case .success(let response): response.link
        case .failure(let failure): failure.link
        }
    }
}

extension WorkResult {
    /// Of a kind whose jobs are for one recipient.
    init(_ verdict: Verdict, for recipient: String, by relay: String) {
        self.init(fates: [Fate(verdict)], tried: [Trial(recipient: recipient, verdict: verdict)], relay: relay)
    }

    /// Nothing was tried, for no fault of the job's.
    static func waits(_ relay: String, _ cause: Reply, seconds: Double) -> WorkResult {
        var result = WorkResult(fates: [.open], tried: [], relay: relay)
        result.putOff = PutOff(relay: relay, cause: cause, seconds: seconds, recipients: [0])
        return result
    }
}
