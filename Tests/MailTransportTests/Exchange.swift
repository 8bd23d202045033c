// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailJob
import MailTransport
import NIOCore

/// A dialogue in a test's hands: give it what the server says, get what it sends, see the verdicts.
final class Exchange {
    private var conversation: Conversation
    var dialogue: Dialogue {
        get { conversation.dialogue }
        set { conversation.dialogue = newValue }
    }
    private var submittedCount: Int64 = 0
    /// All that was sent, as it was.
    var wire = ByteBuffer()
    /// The socket has room for the rest of a long message.
    var takesBody = true
    /// By mail, in the order they were settled.
    private(set) var settled: [(mail: Mail, verdicts: [Verdict], isUntouched: Bool)] = []

    init(
        messagesMax: Int = 100, tls: TLSPolicy = .off, login: LoginSettings? = nil, host: String = "mx.example",
        adjust: (inout RelayConfiguration) -> Void = { _ in }
    ) {
        var relay = RelayConfiguration(name: "mx", host: host, port: 25, ehloName: "client.example")
        relay.messagesPerConnectionMax = messagesMax
        relay.tls = tls
        relay.login = login
        adjust(&relay)
        conversation = Conversation(relay)
        dialogue.connected()
    }

    /// A session that is ready, with these extensions offered.
    convenience init(
        offering extensions: [String], messagesMax: Int = 100, adjust: (inout RelayConfiguration) -> Void = { _ in }
    ) {
        self.init(messagesMax: messagesMax, adjust: adjust)
        says("220 mx.example")
        let lines = ["mx.example"] + extensions
        for line in lines.dropLast() { says("250-\(line)") }
        says("250 \(lines[lines.count - 1])")
    }

    static func pipelined() -> Exchange { Exchange(offering: ["PIPELINING"]) }
    static func plain() -> Exchange { Exchange(offering: []) }

    deinit {
        dialogue.connectionLost("the test is over")
        collect()
    }

    /// One line of the server's; what the client sends then.
    @discardableResult
    func says(_ line: String) -> String { hears(line + "\r\n") }

    /// Octets of the server's as they are; what the client sends then.
    @discardableResult
    func hears(_ octets: String) -> String {
        conversation.received(ByteBuffer(string: octets), observer: nil)
        return sent()
    }

    /// Anything else that happens; what the client sends then.
    func tell(_ step: (inout Dialogue) -> Void) -> String {
        step(&dialogue)
        return sent()
    }

    @discardableResult
    func submit(
        from sender: String = "a@example.org", to recipients: String..., message: String = "hi\r\n",
        needs8Bit: Bool = false, needsUTF8: Bool = false
    ) -> String {
        submit(sender, recipients, ByteBuffer(string: message), needs8Bit, needsUTF8)
    }

    @discardableResult
    func submit(
        _ sender: String, _ recipients: [String], _ message: ByteBuffer, _ needs8Bit: Bool = false,
        _ needsUTF8: Bool = false
    ) -> String {
        submittedCount += 1
        let mail = Mail(
            job: JobID(raw: submittedCount), sender: sender, recipients: recipients, message: message,
            needs8BitMIME: needs8Bit, needsSMTPUTF8: needsUTF8)
        return submit(mail)
    }

    @discardableResult
    func submit(_ mail: Mail) -> String {
        dialogue.submit(Delivery(mail) { _ in })
        return sent()
    }

    /// What waits to be sent, with LF for CRLF.
    func sent() -> String {
        collect()
        while takesBody, dialogue.hasMoreBody { dialogue.continueBody() }
        let text = String(buffer: dialogue.outbound)
        wire.writeImmutableBuffer(dialogue.outbound)
        dialogue.outbound.clear()
        return String(text.map { $0 == "\r\n" ? "\n" : $0 })
    }

    /// The verdicts of all mails settled so far: "delivered 250", one a recipient.
    var verdicts: [String] {
        collect()
        return settled.flatMap { $0.verdicts.map { "\($0.name) \($0.reply.code)" } }
    }

    func collect() {
        for settlement in dialogue.settlements {
            settled.append((settlement.delivery.mail, settlement.verdicts, settlement.isUntouched))
            settlement.delivery.answer(Outcome(verdicts: settlement.verdicts, relay: "test"))
        }
        dialogue.settlements = []
    }
}
