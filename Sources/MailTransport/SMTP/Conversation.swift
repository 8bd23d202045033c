// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import NIOCore

/// Octets in, dialogue on: the parser and the dialogue of one connection, so that a read is one access to both.
struct Conversation {
    var dialogue: Dialogue
    private var parser = ReplyParser()

    init(_ relay: RelayConfiguration) {
        dialogue = Dialogue(
            ehloName: relay.ehloName, server: relay.address, messagesMax: relay.messagesPerConnectionMax)
    }

    mutating func received(_ bytes: ByteBuffer, observer: (any SMTPObserver)?) {
        parser.feed(bytes)
        do {
            while !dialogue.isClosed, let reply = try parser.next() {
                if let observer, let stage = dialogue.awaited { observer.reply(stage, code: reply.code) }
                dialogue.received(reply)
            }
        } catch {
            dialogue.garbled(error)
        }
    }
}
