// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import Crypto
import MailWire
import Secrets

/// RFC 5802 with SHA-256 (RFC 7677), without channel binding: neither side learns the password, and the server proves
/// that it knows it too.
struct ScramSHA256: SASLMechanism {
    /// RFC 7677 §4 wants at least 4,096; the other bound is what the event loop can stand, well above what servers use.
    static let iterations = 4096...600_000

    private enum Step {
        case first
        /// The client's proof is sent; with this signature the server proves itself.
        case signature([UInt8])
        case done
    }

    private let user: String
    private let password: Secret
    private let nonce: String
    private var step = Step.first

    init(_ credential: Credential) throws(SASLError) {
        // RFC 5802 §2.2: who has no SASLprep must refuse what is beyond ASCII.
        guard credential.secret.isASCII, credential.user.utf8.allSatisfy({ $0 >= 0x20 && $0 < 0x7F }) else {
            throw SASLError("SCRAM-SHA-256 needs a user and a password of ASCII characters")
        }
        user = saslName(credential.user)
        password = credential.secret
        nonce = credential.nonce
    }

    private var firstBare: String { "n=\(user),r=\(nonce)" }

    /// RFC 5802 §7: "n" says that we know nothing of channel binding.
    var initialResponse: [UInt8]? { Array("n,,\(firstBare)".utf8) }

    var isSatisfied: Bool {
        if case .done = step { true } else { false }
    }

    mutating func respond(to challenge: [UInt8]) throws(SASLError) -> [UInt8] {
        let text = String(decoding: challenge, as: UTF8.self)
        switch step {
        case .first: return try prove(text)
        case .signature(let expected): return try verify(text, expected)
        case .done: throw SASLError("the server goes on after the end of SCRAM")
        }
    }

    /// RFC 5802 §3.
    private mutating func prove(_ serverFirst: String) throws(SASLError) -> [UInt8] {
        let (serverNonce, salt, iterations) = try parameters(serverFirst)
        let withoutProof = "c=biws,r=\(serverNonce)"
        let message = Array("\(firstBare),\(serverFirst),\(withoutProof)".utf8)
        let salted = Self.saltedPassword(password, salt: salt, iterations: iterations)
        let clientKey = Self.code(Array("Client Key".utf8), key: salted)
        let signature = Self.code(message, key: Array(SHA256.hash(data: clientKey)))
        let proof = zip(clientKey, signature).map { $0 ^ $1 }
        step = .signature(Self.code(message, key: Self.code(Array("Server Key".utf8), key: salted)))
        return Array("\(withoutProof),p=\(Base64Text.encode(proof))".utf8)
    }

    /// RFC 5802 §5.1: in this order, extensions behind them.
    private func parameters(_ text: String) throws(SASLError) -> (nonce: String, salt: [UInt8], iterations: Int) {
        let parts = text.split(separator: ",", omittingEmptySubsequences: false)
        guard parts.count >= 3, parts[0].hasPrefix("r="), parts[1].hasPrefix("s="), parts[2].hasPrefix("i="),
            let salt = Base64Text.decode(String(parts[1].dropFirst(2))), !salt.isEmpty,
            let iterations = Int(parts[2].dropFirst(2))
        else { throw SASLError("the server's first message is not SCRAM's") }
        let serverNonce = String(parts[0].dropFirst(2))
        // RFC 5802 §5.1: the server's nonce begins with ours; otherwise somebody repeats an earlier login.
        guard serverNonce.hasPrefix(nonce), serverNonce.utf8.count > nonce.utf8.count else {
            throw SASLError("the server's nonce is not made of ours")
        }
        guard Self.iterations.contains(iterations) else {
            throw SASLError("the server wants \(iterations) iterations, which is none of \(Self.iterations)")
        }
        return (serverNonce, salt, iterations)
    }

    private mutating func verify(_ serverFinal: String, _ expected: [UInt8]) throws(SASLError) -> [UInt8] {
        let first = serverFinal.split(separator: ",", omittingEmptySubsequences: false).first ?? ""
        guard first.hasPrefix("v="), Base64Text.decode(String(first.dropFirst(2))) == expected else {
            throw SASLError("the server does not prove that it knows the password")
        }
        step = .done
        return []
    }

    /// RFC 5802 §2.2's Hi, which is PBKDF2 of one block (RFC 8018 §5.2).
    static func saltedPassword(_ password: Secret, salt: [UInt8], iterations: Int) -> [UInt8] {
        let key = SymmetricKey(data: password.bytes)
        var last = HMAC<SHA256>.authenticationCode(for: salt + [0, 0, 0, 1], using: key)
        var sum = Array(last)
        for _ in 1..<iterations {
            last = last.withUnsafeBytes { HMAC<SHA256>.authenticationCode(for: $0, using: key) }
            last.withUnsafeBytes { bytes in
                for index in sum.indices { sum[index] ^= bytes[index] }
            }
        }
        return sum
    }

    private static func code(_ message: [UInt8], key: [UInt8]) -> [UInt8] {
        Array(HMAC<SHA256>.authenticationCode(for: message, using: SymmetricKey(data: key)))
    }
}
