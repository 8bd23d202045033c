// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailJob
import MailWire
import NIOCore

/// One operator's connection: calls in, replies out, one after the other in the order of the calls.
///
/// Varlink allows a client to send ahead; what it sends ahead waits here, bounded, while a call is being answered.
final class ControlSession: ChannelDuplexHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    private let methods: ControlMethods
    private let caller: Operator
    private var framer = Framer.varlink(bytesMax: Limits.controlBytesMax)
    private var waiting: [VarlinkCall] = []
    /// Of the calls in `waiting`, as they came.
    private var waitingBytes = 0
    private var isAnswering = false
    /// Who sends several replies waits for room.
    private var whenRoom: (@Sendable () -> Void)?
    private var inputEnded = false
    private var wantsRead = false
    private var isOpen = true
    private var isHangingUp = false

    /// Calls that wait; past it the connection is not read.
    private static let waitingMax = 32
    /// Jobs that are imported bring their lines along: nobody else's call is read further than `Framer.varlink` has it.
    private static let longCall = Array("{\"method\":\"\(ControlInterface.name).Import\"".utf8)
    private static let longCallBytesMax = Limits.importBytesMax

    init(_ methods: ControlMethods, caller: Operator) {
        self.methods = methods
        self.caller = caller
    }

    func read(context: ChannelHandlerContext) {
        if hasRoom(context) { context.read() } else { wantsRead = true }
    }

    /// For more calls, and for the answers of those that are here: a client that reads none is read no further.
    private func hasRoom(_ context: ChannelHandlerContext) -> Bool {
        waiting.count < Self.waitingMax && waitingBytes <= Limits.controlBytesMax && context.channel.isWritable
    }

    private func readOn(_ context: ChannelHandlerContext) {
        guard wantsRead, hasRoom(context) else { return }
        wantsRead = false
        context.read()
    }

    func channelWritabilityChanged(context: ChannelHandlerContext) {
        if context.channel.isWritable, let body = whenRoom {
            whenRoom = nil
            body()
        }
        answerNext(context)
        readOn(context)
        context.fireChannelWritabilityChanged()
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        framer.append(unwrapInboundIn(data).readableBytesView)
        do {
            while let message = try next() {
                waiting.append(try VarlinkCall(parsing: message))
                waitingBytes += message.count
            }
        } catch {
            // https://varlink.org/Method-Call: what is not a call has no reply; the connection is of no use any more.
            return context.close(promise: nil)
        }
        answerNext(context)
    }

    private func next() throws -> [UInt8]? {
        do {
            let message = try framer.next()
            if message != nil { framer.bytesMax = Limits.controlBytesMax }
            return message
        } catch {
            guard framer.bytesMax == Limits.controlBytesMax, framer.begins(with: Self.longCall) else { throw error }
            framer.bytesMax = Self.longCallBytesMax
            return try next()
        }
    }

    private func answerNext(_ context: ChannelHandlerContext) {
        guard !isAnswering, isOpen else { return }
        guard !waiting.isEmpty else { return inputEnded ? hangUp(context) : () }
        guard context.channel.isWritable else { return }
        let call = waiting.removeFirst()
        if waiting.isEmpty { waitingBytes = 0 }
        isAnswering = true
        let loop = context.eventLoop
        let bound = NIOLoopBound((self, context), eventLoop: loop)
        let answer = Answer(caller: caller, loop: loop, wantsMore: call.more) { reply, taken in
            loop.execute {
                let (session, context) = bound.value
                session.send(reply, to: call, context, taken)
            }
        }
        methods.answer(call, answer)
    }

    private func send(
        _ reply: VarlinkReply, to call: VarlinkCall, _ context: ChannelHandlerContext, _ taken: (@Sendable () -> Void)?
    ) {
        if !reply.continues { isAnswering = false }
        guard isOpen else { return }
        // https://varlink.org/Method-Call: several replies only to who asked for more than one.
        if !call.oneway, call.more || !reply.continues {
            context.writeAndFlush(wrapOutboundOut(ByteBuffer(bytes: reply.bytes)), promise: nil)
        }
        if let taken { whenWritable(context, taken) }
        answerNext(context)
        readOn(context)
    }

    private func whenWritable(_ context: ChannelHandlerContext, _ body: @escaping @Sendable () -> Void) {
        if context.channel.isWritable { body() } else { whenRoom = body }
    }

    /// Closing at once would drop what the client was too slow to take: an empty write tells when all has left.
    private func hangUp(_ context: ChannelHandlerContext) {
        guard !isHangingUp else { return }
        isHangingUp = true
        let last = context.eventLoop.makePromise(of: Void.self)
        context.writeAndFlush(wrapOutboundOut(ByteBuffer()), promise: last)
        last.futureResult.assumeIsolated().whenSuccess { context.close(promise: nil) }
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        guard let event = event as? ChannelEvent, event == .inputClosed else {
            return context.fireUserInboundEventTriggered(event)
        }
        inputEnded = true
        answerNext(context)
    }

    func channelInactive(context: ChannelHandlerContext) {
        isOpen = false
        whenRoom = nil
        caller.leave()
        context.fireChannelInactive()
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }
}
