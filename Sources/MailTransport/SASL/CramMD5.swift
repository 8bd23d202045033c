// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import Crypto
import Secrets

/// RFC 2195: the challenge under a key that is the password.
struct CramMD5: SASLMechanism {
    private let user: String
    private let password: Secret
    private var isAnswered = false

    init(_ credential: Credential) {
        user = credential.user
        password = credential.secret
    }

    var initialResponse: [UInt8]? { nil }
    var isSatisfied: Bool { isAnswered }

    mutating func respond(to challenge: [UInt8]) throws(SASLError) -> [UInt8] {
        guard !isAnswered else { throw SASLError("the server sends a second challenge") }
        isAnswered = true
        let key = SymmetricKey(data: password.bytes)
        let digest = HMAC<Insecure.MD5>.authenticationCode(for: challenge, using: key)
        return Array(user.utf8) + [0x20] + Array(digest).flatMap(Self.hexadecimal)
    }

    /// RFC 2195 §2: in lower case.
    private static func hexadecimal(_ byte: UInt8) -> [UInt8] {
        let digits: StaticString = "0123456789abcdef"
        return [digits.utf8Start[Int(byte >> 4)], digits.utf8Start[Int(byte & 15)]]
    }
}
