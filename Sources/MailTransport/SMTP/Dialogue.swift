// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailJob
import NIOCore
import Secrets

/// The client's side of a session by RFC 5321, or RFC 2033, without a socket or a clock.
///
/// Whoever owns it tells it what happened (`connected`, `received`, `submit`, `timedOut`, `connectionLost`, `quit`) and
/// afterwards carries out what it wants: sends `outbound`, hands out `settlements`, closes when `isClosed`, submits
/// more while there is `room`, and calls `timedOut` when `awaited` has not come within its patience.
///
/// Where PIPELINING is offered it holds two mails: the second one's envelope travels right behind the first one's body,
/// so that a mail costs one round trip (RFC 2920 §3.1).
package struct Dialogue {
    package enum Phase: Equatable, Sendable {
        case unconnected, greeting
        /// EHLO was sent, or HELO after it was not understood. By LMTP it is LHLO.
        case hello(extended: Bool)
        /// STARTTLS was sent.
        case startTLS
        /// The owner must encrypt the connection, and say `secured` or `securingFailed`.
        case securing
        /// The owner must find the credential, and say `identify` or `cannotIdentify`.
        case identifying
        /// AUTH was sent.
        case login
        case ready, quitting, closed
    }

    /// A mail's end. `isUntouched`: an earlier mail had used the connection, it died without a word on this one, and
    /// not an octet of the message was sent, so another connection may do better.
    package struct Settlement {
        package let delivery: Delivery
        package let verdicts: [Verdict]
        package let isUntouched: Bool
    }

    package internal(set) var phase = Phase.unconnected
    package var capabilities: Capabilities { terms.capabilities }
    /// Such as `TLSv1.3`; nil in clear.
    package internal(set) var tlsVersion: String?
    /// The mechanism by which we have logged in, such as `SCRAM-SHA-256`.
    package internal(set) var loginName: String?
    /// What the server must be sent next; emptied by the owner.
    package var outbound = ByteBuffer()
    /// Mails with all their verdicts, in the order of their submission; emptied by the owner.
    package var settlements: [Settlement] = []
    /// The session came as far as taking mail.
    package private(set) var wasReady = false
    /// Why the session ended, where it was neither our wish nor a server's that had nothing in hand.
    package private(set) var ending: Reply?

    let ehloName: String
    /// host:port, for the reasons given with verdicts.
    let server: String
    let messagesMax: Int
    let security: SessionSecurity
    var terms: SessionTerms
    /// Extensions that are not used although they are offered.
    private let ignored: [String]
    var login: Login?
    /// A kept token that the server refused in this session: `identify` must come with another one.
    package internal(set) var refusedToken: Secret?
    private var current: Transaction?
    private var next: Transaction?
    /// RSET was sent, and its reply comes before any to `current`.
    private var isResetting = false
    private var wantsToQuit = false
    private var submittedCount = 0

    /// Octets of a message that are written at a time: a larger one is not held twice in memory.
    package static let blockBytesMax = 64 << 10

    package init(_ relay: RelayConfiguration) {
        ehloName = relay.ehloName
        server = relay.address
        messagesMax = relay.messagesPerConnectionMax
        security = SessionSecurity(relay)
        terms = SessionTerms(mailProtocol: relay.mailProtocol, chunkBytesMax: relay.chunkBytesMax)
        ignored = relay.ignoredExtensions
    }

    package var isClosed: Bool { phase == .closed }
    /// Mails in hand.
    package var load: Int { copied.load }
    /// How many more mails `submit` takes now.
    package var room: Int { copied.room }
    /// More of the body waits for `continueBody`.
    package var hasMoreBody: Bool { copied.hasMoreBody }
    /// What the server owes us; nil where nothing is under way.
    package var awaited: SMTPStage? { copied.awaited }

    private var copied: Standing {
        var copy = self
        return copy.standing()
    }

    /// Where the session is, as its owner asks at each turn.
    package struct Standing {
        package var load = 0
        package var room = 0
        package var hasMoreBody = false
        package var awaited: SMTPStage?
    }

    /// Changes nothing. `mutating`, because then it is asked in place: a question to a value as large as this one, in a
    /// property of a class, is asked of a copy, and copying costs more than the answer.
    package mutating func standing() -> Standing {
        let place = current?.place()
        var standing = Standing()
        standing.load = (place == nil ? 0 : 1) + (next?.place() == nil ? 0 : 1)
        if phase == .ready, !wantsToQuit {
            let chained = terms.capabilities.pipelining ? 2 : 1
            standing.room = min(chained - standing.load, messagesMax - submittedCount)
        }
        standing.hasMoreBody = phase == .ready && place?.stage == .body
        standing.awaited = owed(place?.stage)
        return standing
    }

    private mutating func owed(_ stage: SMTPStage?) -> SMTPStage? {
        switch phase {
        case .unconnected, .identifying, .closed: nil
        case .greeting: .greeting
        case .hello: .hello
        case .startTLS: .startTLS
        case .securing: .handshake
        case .login: .login
        case .quitting: .quit
        case .ready: isResetting ? .reset : stage
        }
    }

    // MARK: What happens

    package mutating func connected() {
        if phase == .unconnected { phase = security.tls == .implicit ? .securing : .greeting }
    }

    /// Takes a mail; only where there is `room`. Its verdicts may be there at once.
    package mutating func submit(_ delivery: Delivery) {
        precondition(standing().room > 0, "a mail was submitted to a dialogue without room")
        let refused = Admission(capabilities: capabilities, server: server).refused(delivery.mail)
        submittedCount += 1
        if refused.count == delivery.mail.recipients.count {
            settle(delivery, refused.map(\.verdict))
        } else if current == nil {
            current = Transaction(delivery, number: submittedCount, terms: terms, refused: refused)
        } else {
            next = Transaction(delivery, number: submittedCount, terms: terms, refused: refused)
            chainNext()
        }
        advance()
    }

    package mutating func received(_ reply: ServerReply) {
        // RFC 5321 §3.8: 421 may come at any time, and is the last word.
        if reply.code == 421 && phase != .quitting { return end(reply.reply, isRefusal: true) }
        switch phase {
        case .unconnected, .closed: return
        case .greeting: greeted(reply)
        case .hello(let extended): helloReplied(reply, extended: extended)
        case .startTLS: startTLSReplied(reply)
        case .securing: injected()
        case .login: loginReplied(reply)
        case .ready where isResetting: resetReplied(reply)
        case .ready where current != nil: transactionReplied(reply)
        case .identifying: spokeUnasked(reply)
        case .ready, .quitting: phase = .closed
        }
    }

    /// What came was no reply.
    package mutating func garbled(_ error: ReplyError) {
        end(Reply(451, "4.5.0", "\(server): \(error)"), isRefusal: false)
    }

    /// `reason`: the system's words, such as "Connection reset by peer".
    package mutating func connectionLost(_ reason: String) {
        let stage = awaited.map { " while waiting for \(words(for: $0))" } ?? ""
        end(Reply(451, "4.4.2", "lost the connection to \(server)\(stage): \(reason)"), isRefusal: false)
    }

    /// `awaited` did not come within its patience.
    package mutating func timedOut() {
        guard let stage = awaited else { return }
        let cause = Reply(
            451, "4.4.2", "gave up after \(stage.patience) s of waiting for \(words(for: stage)) of \(server)")
        end(cause, isRefusal: false, mayRetry: false)
    }

    /// No more mail: says goodbye as soon as what is in hand is done.
    package mutating func quit() {
        switch phase {
        case .unconnected, .greeting, .hello, .startTLS, .securing, .identifying, .login: phase = .closed
        case .ready:
            wantsToQuit = true
            advance()
        case .quitting, .closed: break
        }
    }

    /// Writes the next block of the message; the owner calls it while the socket takes more.
    package mutating func continueBody() {
        guard standing().hasMoreBody else { return }
        current?.writeBody(bytesMax: Self.blockBytesMax, to: &outbound)
        chainNext()
    }
}

// MARK: - Session

extension Dialogue {
    /// RFC 5321 §3.1.
    private mutating func greeted(_ reply: ServerReply) {
        guard reply.isPositive else { return refused(reply) }
        sayHello()
    }

    mutating func sayHello() {
        phase = .hello(extended: true)
        // RFC 2033 §4.1: LHLO, so that a server of the one protocol is never taken for one of the other.
        outbound.writeString("\(terms.mailProtocol == .lmtp ? "LHLO" : "EHLO") \(ehloName)\r\n")
    }

    private func words(for stage: SMTPStage) -> String {
        stage == .hello && terms.mailProtocol == .lmtp ? "the reply to LHLO" : stage.awaited
    }

    private mutating func helloReplied(_ reply: ServerReply, extended: Bool) {
        if reply.isPositive {
            terms.capabilities = extended ? Capabilities(ehlo: reply.texts, ignored: ignored) : Capabilities()
            secureOrLogIn()
        } else if extended && reply.code >= 500 && terms.mailProtocol == .smtp {
            // RFC 5321 §3.2: a server that does not know EHLO is asked by HELO.
            phase = .hello(extended: false)
            outbound.writeString("HELO \(ehloName)\r\n")
        } else {
            refused(reply)
        }
    }

    mutating func becomeReady() {
        phase = .ready
        wasReady = true
    }

    /// The server will not talk to us, which says nothing about any mail: all of it waits.
    private mutating func refused(_ reply: ServerReply) {
        outbound.writeStaticString("QUIT\r\n")
        end(reply.reply, isRefusal: true)
    }

    private mutating func resetReplied(_ reply: ServerReply) {
        isResetting = false
        guard reply.isPositive else { return end(reply.reply, isRefusal: true) }
        advance()
    }
}

// MARK: - Transactions

extension Dialogue {
    private mutating func transactionReplied(_ reply: ServerReply) {
        let stage = current?.stage
        switch current?.received(reply, output: &outbound) {
        case .goesOn: chainNext()
        case .bodyIsDue: continueBody()
        case .finished(let reset): finish(reset: reset)
        case .broken, nil:
            let words = "\(reply.code) \(reply.reply.text)"
            let due = stage.map { self.words(for: $0) } ?? "nothing"
            let cause = "\(server) said \"\(words)\" where \(due) was due"
            end(Reply(451, "4.5.0", cause), isRefusal: false)
        }
    }

    private mutating func finish(reset: Bool) {
        if let ending = current?.ending() { settle(ending.delivery, ending.verdicts) }
        current = nil
        swap(&current, &next)
        if reset {
            // RFC 5321 §4.1.1.5: a transaction without end of data stays open until it is reset.
            outbound.writeStaticString("RSET\r\n")
            isResetting = true
        }
        advance()
    }

    /// Begins what can begin now: the mail in hand, or the goodbye.
    private mutating func advance() {
        if current == nil {
            guard wantsToQuit || submittedCount >= messagesMax, !isResetting, phase == .ready else { return }
            phase = .quitting
            outbound.writeStaticString("QUIT\r\n")
        } else if current?.stage == nil, capabilities.pipelining || !isResetting {
            current?.writeEnvelope(to: &outbound)
        }
    }

    /// RFC 2920 §3.1: the message may be the first in a group of commands, so the next envelope goes right behind it.
    /// So it does behind BDAT LAST, once the chunks before that are through.
    private mutating func chainNext() {
        guard current?.mayBeFollowed == true, next != nil, next?.stage == nil else { return }
        next?.writeEnvelope(to: &outbound)
    }

    private mutating func settle(_ delivery: Delivery, _ verdicts: [Verdict], isUntouched: Bool = false) {
        settlements.append(Settlement(delivery: delivery, verdicts: verdicts, isUntouched: isUntouched))
    }

    /// The session is over. `isRefusal`: the server said so, hence it did not take the message it is asked about.
    mutating func end(_ cause: Reply, isRefusal: Bool, mayRetry: Bool = true) {
        guard phase != .closed else { return }
        if phase != .quitting && (load > 0 || phase != .ready) { ending = cause }
        phase = .closed
        for transaction in [current, next].compactMap({ $0 }) {
            let untouched = mayRetry && transaction.number > 1 && !transaction.isAnswered
            settle(
                transaction.delivery, transaction.verdicts(lost: cause, isRefusal: isRefusal), isUntouched: untouched)
        }
        current = nil
        next = nil
    }
}
