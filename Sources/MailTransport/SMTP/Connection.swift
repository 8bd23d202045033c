// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailJob
import NIOCore
import NIOSSL
import NIOTLS
import Secrets

/// Who opened a connection, and is told what comes of it.
protocol SMTPConnectionOwner: AnyObject {
    /// It takes mail.
    func opened(_ connection: SMTPConnection)
    /// Something changed: it may have room.
    func refill(_ connection: SMTPConnection)
    func settled(_ settlement: Dialogue.Settlement, on connection: SMTPConnection)
    /// The last word, once for each, whether it came to take mail or not.
    func ended(_ connection: SMTPConnection)
}

/// The socket under a `Dialogue`: feeds it what arrives, writes what it wants in one flush a tick, watches the clock.
///
/// The one rule: nobody is called back from within an access to `conversation`. What happened is noted there, and
/// `turn` tells the owner afterwards, who may submit more mail at that moment.
package final class SMTPConnection: ChannelInboundHandler {
    package typealias InboundIn = ByteBuffer
    package typealias OutboundOut = ByteBuffer

    /// Mails that wait for this very connection.
    var bound: [Delivery] = []
    /// Hears how the opening ended, where it was opened for no mail in particular.
    var knocker: ((Reply?) -> Void)?
    var shelf = RackShelf.none
    var rackIndex = 0
    /// Address and port of the server, once connected; the path of a Unix socket.
    private(set) var peer: String?
    /// The session came as far as taking mail.
    private(set) var wasReady = false

    private let loop: any EventLoop
    private let idleTime: TimeAmount
    private let observer: (any SMTPObserver)?
    private let login: LoginSettings?
    private let socket: String?
    private let encryption: RelayTLS?
    private var encrypter: NIOSSLClientHandler?
    private let tokens: OAuthTokens?
    /// A token was asked for, and has not come.
    private var isIdentifying = false
    private var conversation: Conversation
    /// Held while the connection is in use, so that the owner outlives it.
    private var owner: (any SMTPConnectionOwner)?
    private var context: ChannelHandlerContext?
    private var settlements: [Dialogue.Settlement] = []
    private var lossReason: String?
    private var isReading = false
    private var isWriting = false
    private let round: FlushRound
    private var isInRound = false
    private var isTurning = false
    private var isLeaving = false
    private var hasEnded = false
    private var deadline = NIODeadline.distantFuture
    private var alarm: Scheduled<Void>?
    private var alarmAt = NIODeadline.distantFuture

    init(
        _ relay: RelayConfiguration, of owner: any SMTPConnectionOwner, loop: any EventLoop, encryption: RelayTLS?,
        tokens: OAuthTokens?, round: FlushRound, observer: (any SMTPObserver)?
    ) {
        self.owner = owner
        self.round = round
        self.loop = loop
        self.observer = observer
        self.encryption = encryption
        self.tokens = tokens
        login = relay.login
        socket = relay.socket
        idleTime = .seconds(Int64(relay.idleSecondsMax))
        conversation = Conversation(relay)
    }

    // MARK: The owner's side

    var standing: Dialogue.Standing { conversation.dialogue.standing() }
    var room: Int { standing.room }
    var load: Int { standing.load }
    var ending: Reply? { conversation.dialogue.ending }
    var isOpen: Bool { context != nil }
    var tlsVersion: String? { conversation.dialogue.tlsVersion }
    /// By which we have logged in.
    var loginName: String? { conversation.dialogue.loginName }
    /// Who the server says it is; nil in clear.
    var certificate: String? { RelayTLS.words(encrypter?.peerCertificate) }

    /// Only where there is `room`. The verdicts never come before this returns.
    func submit(_ delivery: Delivery) {
        conversation.dialogue.submit(delivery)
        guard !isTurning else { return }
        if !isReading { writeSoon() }
        watch()
        guard !conversation.dialogue.settlements.isEmpty else { return }
        loop.assumeIsolated().execute { self.turn() }
    }

    /// Says goodbye after what is in hand; hangs up at once where no session has begun.
    func quit() {
        guard !isLeaving else { return }
        isLeaving = true
        conversation.dialogue.quit()
        turn()
    }

    /// Ends it without a goodbye.
    func cut(_ reason: String) {
        conversation.dialogue.connectionLost(reason)
        turn()
    }

    /// Begins the session on a connected channel.
    func adopt(_ channel: any Channel) {
        guard !hasEnded else { return channel.close(promise: nil) }
        do {
            try channel.pipeline.syncOperations.addHandler(self)
            try channel.syncOptions?.setOption(.autoRead, value: true)
        } catch {
            cut(Connector.reason(error))
            channel.close(promise: nil)
        }
    }

    // MARK: A turn

    /// After anything that happened: lets the owner use the room, hands out verdicts, writes, sets the clock.
    /// Handing out may bring new mail for this connection; it is taken in the same turn.
    private func turn() {
        guard !isTurning, let owner else { return }
        isTurning = true
        repeat {
            secure()
            if conversation.dialogue.isClosed { end(owner) }
            if conversation.dialogue.wasReady && !wasReady { welcome(owner) }
            owner.refill(self)
            answerSettlements(owner)
        } while !conversation.dialogue.settlements.isEmpty || conversation.dialogue.isClosed && !hasEnded
        isTurning = false
        if hasEnded {
            self.owner = nil
        } else {
            if !isReading { writeSoon() }
            watch()
        }
    }

    /// With the others that have something to say, once all that has arrived is read.
    private func writeSoon() {
        guard !isInRound, context != nil, conversation.dialogue.outbound.readableBytes > 0 || standing.hasMoreBody
        else { return }
        isInRound = true
        round.add(self)
    }

    /// Its turn in the round has come.
    func flush() {
        isInRound = false
        write()
    }

    private func welcome(_ owner: any SMTPConnectionOwner) {
        wasReady = true
        observer?.connected(tls: tlsVersion != nil)
        owner.opened(self)
    }

    private func answerSettlements(_ owner: any SMTPConnectionOwner) {
        swap(&settlements, &conversation.dialogue.settlements)
        for settlement in settlements { owner.settled(settlement, on: self) }
        settlements.removeAll(keepingCapacity: true)
    }

    private func end(_ owner: any SMTPConnectionOwner) {
        guard !hasEnded else { return }
        hasEnded = true
        write()
        context?.close(promise: nil)
        alarm?.cancel()
        if wasReady { observer?.disconnected() }
        owner.ended(self)
    }

    /// Sends what the dialogue wants to say, and of a long message as much as the socket takes.
    private func write() {
        guard let context, !isWriting else { return }
        isWriting = true
        while true {
            if conversation.dialogue.outbound.readableBytes > 0 {
                context.writeAndFlush(wrapOutboundOut(conversation.dialogue.outbound), promise: nil)
                // Most often the kernel has taken all of it by now, and the buffer's memory is used again.
                conversation.dialogue.outbound.clear()
            }
            guard standing.hasMoreBody, context.channel.isWritable else { break }
            conversation.dialogue.continueBody()
        }
        isWriting = false
    }

    // MARK: Encryption and login

    /// Does what the dialogue needs done for it: a handler that encrypts, a secret out of its file.
    private func secure() {
        switch conversation.dialogue.phase {
        case .securing where encrypter == nil: encrypt()
        case .identifying: identify()
        default: break
        }
    }

    private func encrypt() {
        guard let context, let encryption else {
            return conversation.dialogue.securingFailed("there are no settings for it")
        }
        do {
            let handler = try encryption.handler()
            encrypter = handler
            // In place before anything else is read. It begins the handshake by itself.
            try context.pipeline.syncOperations.addHandler(handler, position: .first)
            // It keeps the end of this read to itself where there is nothing to hand on.
            isReading = false
        } catch {
            conversation.dialogue.securingFailed(encryption.reason(error, nil))
        }
    }

    private func identify() {
        guard let login else { return conversation.dialogue.cannotIdentify("there are no settings for it") }
        if let tokens { return identify(login, tokens) }
        do throws(SecretFileError) {
            // Read anew each time: a token is short-lived, and a password may be changed without a reload.
            conversation.dialogue.identify(as: try login.credential())
        } catch {
            conversation.dialogue.cannotIdentify(error.reason)
        }
    }

    /// The token comes at once where there is one, else when its endpoint has answered.
    private func identify(_ login: LoginSettings, _ tokens: OAuthTokens) {
        guard !isIdentifying else { return }
        isIdentifying = true
        tokens.token(insteadOf: conversation.dialogue.refusedToken) { [self] result in
            isIdentifying = false
            switch result {
            case .success(let token): conversation.dialogue.identify(as: login.credential(token))
            case .failure(let fault): conversation.dialogue.cannotIdentify(fault.reason)
            }
            turn()
        }
    }

    // MARK: The clock

    /// The endpoint's answer or its absence comes well before; without it the server would be kept for ever.
    private static let tokenPatience = TimeAmount.seconds(60)

    private var patience: TimeAmount {
        if conversation.dialogue.phase == .identifying { return Self.tokenPatience }
        return standing.awaited.map { TimeAmount.seconds($0.patience) } ?? idleTime
    }

    /// Notes until when the server has time. The alarm is moved only where it would ring too late, which is rare: when
    /// it rings too early it is set anew.
    private func watch() {
        deadline = loop.now + patience
        if deadline < alarmAt && !hasEnded { setAlarm() }
    }

    private func setAlarm() {
        alarm?.cancel()
        alarmAt = deadline
        alarm = loop.assumeIsolated().scheduleTask(deadline: deadline) { self.ring() }
    }

    private func ring() {
        guard !hasEnded else { return }
        guard loop.now >= deadline else { return setAlarm() }
        alarmAt = .distantFuture
        if conversation.dialogue.phase == .identifying {
            conversation.dialogue.cannotIdentify("there is no access token yet")
            turn()
        } else if standing.awaited == nil {
            quit()
        } else {
            conversation.dialogue.timedOut()
            turn()
        }
    }
}

// MARK: - The channel's side

extension SMTPConnection {
    package func handlerAdded(context: ChannelHandlerContext) {
        self.context = context
        if context.channel.isActive { begin(context) }
    }

    package func handlerRemoved(context: ChannelHandlerContext) { self.context = nil }

    package func channelActive(context: ChannelHandlerContext) {
        begin(context)
        context.fireChannelActive()
    }

    private func begin(_ context: ChannelHandlerContext) {
        peer =
            socket
            ?? context.remoteAddress.flatMap { address in
                address.ipAddress.map {
                    $0.contains(":") ? "[\($0)]:\(address.port ?? 0)" : "\($0):\(address.port ?? 0)"
                }
            }
        conversation.dialogue.connected()
        turn()
    }

    package func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        isReading = true
        conversation.received(unwrapInboundIn(data), observer: observer)
        turn()
    }

    package func channelReadComplete(context: ChannelHandlerContext) {
        isReading = false
        writeSoon()
        context.fireChannelReadComplete()
    }

    package func channelWritabilityChanged(context: ChannelHandlerContext) {
        if standing.hasMoreBody && context.channel.isWritable {
            write()
            watch()
        }
        context.fireChannelWritabilityChanged()
    }

    package func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if case TLSUserEvent.handshakeCompleted = event {
            conversation.dialogue.secured(RelayTLS.name(encrypter?.tlsVersion))
            turn()
        }
        context.fireUserInboundEventTriggered(event)
    }

    package func errorCaught(context: ChannelHandlerContext, error: any Error) {
        lossReason = encrypter.flatMap { encryption?.reason(error, $0) } ?? Connector.reason(error)
        if conversation.dialogue.phase == .securing, let lossReason {
            conversation.dialogue.securingFailed(lossReason)
            turn()
        }
        context.close(promise: nil)
    }

    package func channelInactive(context: ChannelHandlerContext) {
        isReading = false
        cut(lossReason ?? "the server closed it")
        context.fireChannelInactive()
    }
}
