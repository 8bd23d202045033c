// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import NIOCore

/// Octets in, dialogue on: the parser and the dialogue of one connection, so that a read is one access to both.
package struct Conversation {
    package var dialogue: Dialogue
    private var parser = ReplyParser()

    package init(_ relay: RelayConfiguration) {
        dialogue = Dialogue(relay)
    }

    package mutating func received(_ bytes: ByteBuffer, observer: (any SMTPObserver)?) {
        parser.feed(bytes)
        do {
            while !dialogue.isClosed, let reply = try parser.next() {
                if let observer, let stage = dialogue.standing().awaited { observer.reply(stage, reply) }
                dialogue.received(reply)
                // RFC 3207 §4.2: what was buffered in clear does not become part of the encrypted session.
                if dialogue.phase == .securing && !parser.isEmpty { dialogue.injected() }
            }
        } catch {
            dialogue.garbled(error)
        }
        parser.rest()
    }
}
