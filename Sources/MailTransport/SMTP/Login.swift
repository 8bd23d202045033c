// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailJob
import MailWire

/// AUTH (RFC 4954) as far as it is lines and replies: goes through the mechanisms until one is neither too weak nor
/// unknown to the server.
struct Login {
    enum Step: Equatable {
        /// A line without its CRLF.
        case send(String)
        case done
        case failed(Reply)
        /// The same, and the server waits for a response still.
        case cancelled(Reply)
    }

    /// RFC 4954 §4: an AUTH command has at most so many octets, its CRLF counted.
    static let commandBytesMax = 12_288

    let credential: Credential
    private let security: SessionSecurity
    /// host:port, for the reasons.
    private let server: String
    private var names: [SASLName]
    private var name = SASLName.plain
    private var mechanism: (any SASLMechanism)?
    /// An initial response that did not fit into the command.
    private var pending: [UInt8]?
    private var refusal: String?

    var mechanismName: String { name.rawValue }

    init(_ credential: Credential, offered: [String], security: SessionSecurity, server: String) {
        self.credential = credential
        self.security = security
        self.server = server
        names = (security.mechanisms ?? []).filter { offered.contains($0.rawValue) }
        if names.isEmpty {
            let ours = (security.mechanisms ?? []).map(\.rawValue).joined(separator: ", ")
            let theirs = offered.isEmpty ? "no login" : "login by \(offered.joined(separator: ", "))"
            refusal = "\(server) offers \(theirs), and we need \(ours)"
        }
    }

    /// Begins with the first mechanism, or the next where one was declined.
    mutating func begin() -> Step {
        while !names.isEmpty {
            name = names.removeFirst()
            do throws(SASLError) {
                let begun = try name.begin(credential, host: security.host, port: security.port)
                mechanism = begun
                return .send(command(begun.initialResponse))
            } catch {
                refusal = "cannot log in to \(server): \(error.reason)"
            }
        }
        return .failed(Reply(454, "4.7.4", refusal ?? "\(server) takes no login"))
    }

    mutating func received(_ reply: ServerReply) -> Step {
        if reply.code == 334 { return challenged(reply) }
        let words = reply.reply
        if reply.isPositive {
            // RFC 5802 §3: the server's proof is no less needed than ours.
            guard mechanism?.isSatisfied == true else {
                return .failed(Reply(454, "4.7.0", "\(server) ended \(name.rawValue) before its end"))
            }
            return .done
        }
        let complaint = (mechanism?.complaint).map { " (\($0))" } ?? ""
        let cause = "\(server) refused the login by \(name.rawValue): \(words.text)\(complaint)"
        // RFC 4954 §4 and §6: a mechanism that is unknown, too weak or needs encryption says nothing of the password.
        if [504, 534, 538].contains(reply.code), !names.isEmpty { return begin() }
        return .failed(Reply(words.code, words.enhanced, cause))
    }

    private mutating func challenged(_ reply: ServerReply) -> Step {
        guard let text = reply.texts.first, reply.texts.count == 1, let challenge = Base64Text.decode(text) else {
            return cancel("the challenge is not base64")
        }
        if let response = pending {
            pending = nil
            return .send(Base64Text.encode(response))
        }
        do throws(SASLError) {
            guard let response = try mechanism?.respond(to: challenge) else { return cancel("no login is under way") }
            return .send(Base64Text.encode(response))
        } catch {
            return cancel(error.reason)
        }
    }

    private func cancel(_ reason: String) -> Step {
        .cancelled(Reply(454, "4.7.0", "the login by \(name.rawValue) at \(server) failed: \(reason)"))
    }

    private mutating func command(_ initial: [UInt8]?) -> String {
        let line = SASLName.command(name.rawValue, initial)
        guard line.utf8.count + 2 > Self.commandBytesMax else { return line }
        pending = initial
        return SASLName.command(name.rawValue, nil)
    }
}

extension SASLName {
    /// RFC 4954 §4: an initial response that is empty is written "=", because nothing at all means that there is none.
    package static func command(_ name: String, _ initial: [UInt8]?) -> String {
        guard let initial else { return "AUTH \(name)" }
        return "AUTH \(name) \(initial.isEmpty ? "=" : Base64Text.encode(initial))"
    }
}
