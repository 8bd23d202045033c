// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailJob
import NIOCore
import NIOHTTP1

/// One webhook on its way: where to, and what is said there.
struct WebhookCall {
    private(set) var url: WebURL
    let hook: WebhookPlan.Hook?
    let ref: String?
    private let job: JobID
    private let trace: TraceContext?
    private let method: HTTPMethod
    private let headers: HTTPHeaders
    private let body: ByteBuffer
    private var isElsewhere = false

    /// nil where the job names a hook that is not configured.
    init?(_ fields: WebhookFields, _ work: Work, _ plan: WebhookPlan) throws(WebURLError) {
        if let name = fields.hook {
            guard let hook = plan.hook(named: name) else { return nil }
            self.hook = hook
            url = hook.url
        } else {
            url = try WebURL(parsing: fields.url ?? "")
            hook = plan.hook(for: url)
        }
        job = work.job
        trace = work.trace
        ref = fields.ref
        method = fields.method
        headers = fields.headers
        body = fields.body
    }

    /// As people see it: what comes after the origin may be a secret.
    var recipient: String { hook?.name ?? url.origin }

    func redirected(to next: WebURL) -> WebhookCall {
        var call = self
        call.isElsewhere = isElsewhere || next.origin != url.origin
        call.url = next
        return call
    }

    /// The job's own fields go before ours, but for those that carry a proof.
    func request(at time: WallTime) -> HTTPRequest {
        var all = HTTPHeaders([
            ("User-Agent", "maild/\(Version.text)"), ("Accept", "*/*"), ("Content-Type", "application/json"),
            // draft-ietf-httpapi-idempotency-key-header: the same at every attempt.
            ("Idempotency-Key", job.description),
        ])
        for (name, value) in trace?.fields ?? [] { all.replaceOrAdd(name: name, value: value) }
        for (name, value) in headers where !isElsewhere || !Self.secrets.contains(name.lowercased()) {
            all.replaceOrAdd(name: name, value: value)
        }
        if let authorization = hook?.authorization, !isElsewhere {
            all.replaceOrAdd(name: "Authorization", value: String(decoding: authorization.bytes, as: UTF8.self))
        }
        if let hook, let secret = hook.secret {
            let signature = body.withUnsafeReadableBytes {
                hook.signature.fields(id: job.description, at: time, secret: secret, body: $0)
            }
            for (name, value) in signature { all.replaceOrAdd(name: name, value: value) }
        }
        var request = HTTPRequest(method, url, headers: all, body: body)
        if let hook, hook.allowsPrivate, !isElsewhere { request.policy = .anywhere }
        return request
    }

    /// They were meant for one server, and a redirect leads to another.
    private static let secrets: Set<String> = ["authorization", "cookie"]
}
