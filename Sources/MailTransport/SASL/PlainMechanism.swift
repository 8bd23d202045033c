// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import Secrets

/// RFC 4616: user and password in one message.
struct PlainMechanism: SASLMechanism {
    private let user: String
    private let password: Secret

    init(_ credential: Credential) throws(SASLError) {
        // RFC 4616 §2: NUL separates.
        guard !credential.secret.bytes.contains(0) else { throw SASLError("the password contains a NUL") }
        user = credential.user
        password = credential.secret
    }

    /// RFC 4616 §2: no authorization identity, so that the server derives it from the user.
    var initialResponse: [UInt8]? { [0] + Array(user.utf8) + [0] + password.bytes }

    mutating func respond(to challenge: [UInt8]) throws(SASLError) -> [UInt8] {
        throw SASLError("the server asks for more after the whole of PLAIN")
    }
}

/// draft-murchison-sasl-login: no standard, and on every server. What the prompts say differs, their order does not.
struct LoginMechanism: SASLMechanism {
    private let user: String
    private let password: Secret
    private var promptCount = 0

    init(_ credential: Credential) {
        user = credential.user
        password = credential.secret
    }

    var initialResponse: [UInt8]? { nil }

    mutating func respond(to challenge: [UInt8]) throws(SASLError) -> [UInt8] {
        promptCount += 1
        switch promptCount {
        case 1: return Array(user.utf8)
        case 2: return password.bytes
        default: throw SASLError("the server asks for more after user and password")
        }
    }
}
