// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import NIOCore

/// Octets in, dialogue on: the parser and the dialogue of one connection, so that a read is one access to both.
package struct Conversation {
    package var dialogue: Dialogue
    private var parser = ReplyParser()

    package init(_ relay: RelayConfiguration) {
        let mechanisms = relay.login.map { $0.mechanism.map { [$0] } ?? SASLName.all(for: $0.secret.kind) }
        dialogue = Dialogue(
            ehloName: relay.ehloName, server: relay.address, messagesMax: relay.messagesPerConnectionMax,
            security: SessionSecurity(tls: relay.tls, mechanisms: mechanisms, host: relay.host, port: relay.port))
    }

    package mutating func received(_ bytes: ByteBuffer, observer: (any SMTPObserver)?) {
        parser.feed(bytes)
        do {
            while !dialogue.isClosed, let reply = try parser.next() {
                if let observer, let stage = dialogue.awaited { observer.reply(stage, code: reply.code) }
                dialogue.received(reply)
                // RFC 3207 §4.2: what was buffered in clear does not become part of the encrypted session.
                if dialogue.phase == .securing && !parser.isEmpty { dialogue.injected() }
            }
        } catch {
            dialogue.garbled(error)
        }
    }
}
