// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailJob
import NIOCore
import NIOHTTP1
import NIOPosix
import Secrets

/// Hears of a relay's tokens, on the delivery loop.
package protocol OAuthObserver: AnyObject {
    /// One was had, good for so many seconds.
    func tokenFetched(seconds: Double)
    func tokenRefused(_ reason: String)
    /// The endpoint gave a new refresh token, and it is in memory alone: after a restart the old one may be void.
    func refreshTokenNotKept(_ reason: String)
}

/// Access tokens for all sessions of one relay: asked for once, however many sessions want one, kept in memory until
/// shortly before they expire, and renewed while the old one is still good.
///
/// Lives on the delivery loop. A session that waits for a token has an answer within the client's time.
package final class OAuthTokens {
    package typealias Answer = (Result<BearerToken, OAuthFault>) -> Void

    private let settings: OAuthSettings
    private let loop: any EventLoop
    private let client: HTTPClient
    private let shelf: TokenShelf
    private let observer: (any OAuthObserver)?
    private let clock: any Clock
    private var kept: AccessToken?
    private var waiting: [Answer] = []
    private var isAsking = false
    /// A refresh token that could not be put on the shelf.
    private var unkept: RefreshToken?
    /// The endpoint wants to be left alone until then, and why.
    private var rest: (until: Double, fault: OAuthFault)?

    /// An endpoint that says nothing of when it wants to be asked again is asked when the relay is tried again.
    private static let restSecondsMax = 300.0

    package init(
        _ settings: OAuthSettings, trust: HTTPTrust, shelf: TokenShelf, loop: any EventLoop,
        observer: (any OAuthObserver)? = nil, clock: any Clock = SystemClock()
    ) {
        self.settings = settings
        self.loop = loop
        self.shelf = shelf
        self.observer = observer
        self.clock = clock
        // The operator names the endpoint: it may be on a network of his own.
        client = HTTPClient(HTTPClientSettings(), trust: trust, loop: loop)
    }

    /// - Parameter refused: a token of ours that the relay did not take; it is not given out again.
    package func token(insteadOf refused: Secret? = nil, _ answer: @escaping Answer) {
        if let refused, kept?.secret == refused { kept = nil }
        let now = clock.monotonic()
        if let token = kept, token.isUsable(at: now) {
            answer(.success(BearerToken(secret: token.secret, isKept: true)))
            if token.isAging(at: now) { ask() }
            return
        }
        if let rest, now < rest.until { return answer(.failure(rest.fault)) }
        waiting.append(answer)
        ask()
    }

    // MARK: Asking

    private func ask() {
        guard !isAsking, clock.monotonic() >= rest?.until ?? 0 else { return }
        isAsking = true
        let (settings, shelf, unkept, now) = (settings, shelf, unkept, clock.now())
        // Files are read anew each time: a secret may be changed without a reload.
        let question = onThread { () throws(SecretFileError) in
            try OAuthQuestion(settings, shelf, unkept, now: now)
        }
        question.done { [self] result in
            switch result {
            case .success(let question): send(question)
            case .failure(let error): end(.failure(OAuthFault(error.reason)))
            }
        }
    }

    private func send(_ question: OAuthQuestion) {
        let askedAt = clock.monotonic()
        var request = HTTPRequest(
            .POST, settings.url,
            headers: HTTPHeaders([
                ("User-Agent", "maild/\(Version.text)"), ("Accept", "application/json"),
                ("Content-Type", "application/x-www-form-urlencoded"),
            ]),
            body: ByteBuffer(bytes: question.body))
        request.keptBytesMax = 64 << 10
        client.send(request) { [self] result in
            switch result {
            case .failure(let failure): end(.failure(OAuthFault(failure.reason)))
            case .success(let response):
                answered(OAuthGrant.read(response, from: settings.url, now: clock.now()), question, askedAt)
            }
        }
    }

    private func answered(_ result: Result<OAuthGrant, OAuthFault>, _ question: OAuthQuestion, _ askedAt: Double) {
        switch result {
        case .failure(let fault):
            // What we had in its place may be void where the configured one is not: a state that was restored.
            if fault.isGrantInvalid, let older = question.older {
                unkept = nil
                let shelf = shelf
                return onThread { shelf.forget() }.done { [self] _ in send(older) }
            }
            end(.failure(fault))
        case .success(let grant):
            let token = AccessToken(grant.token, lifetime: grant.lifetime, askedAt: askedAt)
            let new = grant.refreshToken ?? unkept?.token
            guard let new, let ancestor = question.ancestor, unkept != nil || new != question.refreshToken else {
                return end(.success(token))
            }
            keep(new, ancestor) { [self] in end(.success(token)) }
        }
    }

    /// Before anybody uses the access token: the endpoint may take the old refresh token no more.
    private func keep(_ token: Secret, _ ancestor: Secret, done: @escaping () -> Void) {
        let shelf = shelf
        let keeping = onThread { () throws(SecretFileError) in try shelf.keep(token, ancestor: ancestor) }
        keeping.done { [self] result in
            switch result {
            case .success: unkept = nil
            case .failure(let error):
                unkept = RefreshToken(token: token, ancestor: ancestor)
                observer?.refreshTokenNotKept(error.reason)
            }
            done()
        }
    }

    private func end(_ result: Result<AccessToken, OAuthFault>) {
        isAsking = false
        rest = nil
        let now = clock.monotonic()
        let answer: Result<BearerToken, OAuthFault>
        switch result {
        case .success(let token):
            kept = token
            observer?.tokenFetched(seconds: token.expiresAt - now)
            answer = .success(BearerToken(secret: token.secret, isKept: false))
        case .failure(let fault):
            if let seconds = fault.retryAfter { rest = (now + min(seconds, Self.restSecondsMax), fault) }
            observer?.tokenRefused(fault.reason)
            answer = .failure(fault)
        }
        let waiting = waiting
        self.waiting = []
        for each in waiting { each(answer) }
    }

    /// Files are not for the loop.
    private func onThread<Value: Sendable>(
        _ body: @escaping @Sendable () throws(SecretFileError) -> Value
    ) -> ThreadWork<Value> {
        ThreadWork(
            future: NIOThreadPool.singleton.runIfActive(eventLoop: loop) {
                Result { () throws(SecretFileError) in try body() }
            })
    }
}

/// What a thread does for the loop.
private struct ThreadWork<Value: Sendable> {
    let future: EventLoopFuture<Result<Value, SecretFileError>>

    /// `answer` comes on the loop.
    func done(_ answer: @escaping (Result<Value, SecretFileError>) -> Void) {
        future.assumeIsolated().whenComplete { result in
            let stopped = Result<Value, SecretFileError>.failure(SecretFileError(reason: "maild is stopping"))
            answer((try? result.get()) ?? stopped)
        }
    }
}
