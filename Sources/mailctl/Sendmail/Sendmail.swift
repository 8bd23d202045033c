// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailJob

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

/// mailctl called by the name of sendmail, mailq or newaliases: the door for programs that know no other.
final class Sendmail {
    static let names = ["sendmail", "mailq", "newaliases"]

    private let options: SendmailOptions
    private let user = LocalUser()
    private lazy var aliases = LocalUser.aliases()

    /// nil where the program was called by a name of its own.
    static func calledName(_ path: String) -> String? {
        let name = path.split(separator: "/").last.map(String.init) ?? path
        return names.contains(name) ? name : nil
    }

    init(name: String, _ arguments: [String]) throws(Failure) {
        options = try SendmailOptions(program: name, arguments)
    }

    func run() throws {
        switch options.mode {
        case .deliver: try deliver()
        case .smtp: try serve()
        case .verify: try verify()
        case .newAliases: try checkAliases()
        case .nothing: return
        case .listQueue:
            var list = try List.parse([])
            try list.run()
        }
    }

    // MARK: One message

    private func deliver() throws(Failure) {
        guard options.readsRecipients || !options.recipients.isEmpty else {
            throw Failure(.usage, "recipients are named on the command line, or by the header with -t")
        }
        var input = InputLines(STDIN_FILENO)
        let text = try input.message(endsAtDot: !options.ignoresDots, unstuffs: false)
        let recipients = options.recipients + (options.readsRecipients ? LocalMessage(text).recipients : [])
        _ = try hand(text, sender: sender, to: recipients)
    }

    private var sender: String {
        guard let sender = options.sender else { return user.address }
        return qualified(sender)
    }

    private func qualified(_ address: String) -> String {
        address.isEmpty || address.contains("@") ? address : "\(address)@\(user.domain)"
    }

    /// - Returns: the job's id; empty where the aliases leave nobody.
    private func hand(_ text: [UInt8], sender: String, to names: [String]) throws(Failure) -> String {
        let recipients = resolve(names)
        guard !names.isEmpty else { throw Failure(.badData, "the message names no recipient") }
        guard !recipients.isEmpty else { return "" }
        var message = LocalMessage(text)
        message.complete(
            author: LocalMessage.author(options.fullName ?? user.fullName, sender.isEmpty ? user.address : sender),
            domain: user.domain)
        return try Handover(
            sender: sender, recipients: recipients, message: message.bytes, reference: options.envelopeID
        ).run()
    }

    /// Names and addresses, several in one word as `ann,bob` too, to addresses with a domain.
    private func resolve(_ names: [String]) -> [String] {
        var found: [String] = []
        for address in names.flatMap({ AddressField(Array($0.utf8)).addresses.map(\.text) }) {
            let resolved = Aliases.localName(address).map { aliases.resolve($0) } ?? [address]
            for one in resolved where !found.contains(one) { found.append(one) }
        }
        return found
    }

    private func verify() throws(Failure) {
        var screen = Screen()
        for name in options.recipients {
            let targets = resolve([name])
            try screen.line(Printable.text("\(name): \(targets.isEmpty ? "nobody" : targets.joined(separator: ", "))"))
        }
        try screen.flush()
    }

    /// There is no database to make anew: the file is read at each mail. What cannot be served is said.
    private func checkAliases() throws(Failure) {
        for complaint in aliases.complaints {
            StandardError.write("newaliases: \(Aliases.path): \(Printable.text(complaint))\n")
        }
        var screen = Screen()
        try screen.line("\(Aliases.path): \(aliases.count) aliases")
        try screen.flush()
        if !aliases.complaints.isEmpty { throw Failure(.badData, nil) }
    }

    // MARK: SMTP

    private func serve() throws(Failure) {
        var session = LocalSession(host: user.domain)
        var input = InputLines(STDIN_FILENO)
        try Self.say(session.greeting)
        while let line = try input.line() {
            switch session.take(line) {
            case .reply(let reply): try Self.say(reply)
            case .bye(let reply): return try Self.say(reply)
            case .data(let envelope):
                try Self.say("354 End with a line of a single dot")
                let text = try input.message(endsAtDot: true, unstuffs: true)
                try Self.say(handed(text, envelope))
            }
        }
    }

    private func handed(_ text: [UInt8], _ envelope: LocalSession.Envelope) -> String {
        do throws(Failure) {
            let job = try hand(text, sender: qualified(envelope.sender), to: envelope.recipients)
            return LocalSession.handed(job, nil)
        } catch {
            return LocalSession.handed("", error)
        }
    }

    private static func say(_ reply: String) throws(Failure) {
        let code = Descriptor.writeAll(STDOUT_FILENO, Array("\(reply)\r\n".utf8))
        guard code == 0 else { throw code == EPIPE ? .closedOutput : .system(.inputOutput, "standard output", code) }
    }
}
