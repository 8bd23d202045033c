// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import NIOCore

/// Asks the listening socket for the next client only while there is room for one; the others wait in its backlog.
///
/// Lives on the intake loop.
final class AcceptGate: ChannelDuplexHandler, @unchecked Sendable {
    typealias InboundIn = any Channel
    typealias OutboundIn = any Channel

    private unowned let intake: Intake
    private var context: ChannelHandlerContext?
    private var isWaiting = false

    init(intake: Intake) { self.intake = intake }

    func handlerAdded(context: ChannelHandlerContext) { self.context = context }
    func handlerRemoved(context: ChannelHandlerContext) { self.context = nil }

    func read(context: ChannelHandlerContext) {
        guard intake.hasRoom else {
            isWaiting = true
            return
        }
        context.read()
    }

    /// A client has gone.
    func reopen() {
        guard isWaiting, intake.hasRoom, let context else { return }
        isWaiting = false
        context.read()
    }
}
