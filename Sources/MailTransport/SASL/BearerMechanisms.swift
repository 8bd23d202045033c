// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailWire
import Secrets

/// RFC 7628: an OAuth 2 token.
struct OAuthBearer: SASLMechanism {
    private let user: String
    private let token: Secret
    private let host: String
    private let port: Int
    private(set) var complaint: String?

    init(_ credential: Credential, host: String, port: Int) throws(SASLError) {
        token = try Bearer.token(credential)
        user = credential.user
        self.host = host
        self.port = port
    }

    /// RFC 7628 §3.1.
    var initialResponse: [UInt8]? {
        Array("n,a=\(saslName(user)),\u{1}host=\(host)\u{1}port=\(port)\u{1}".utf8) + Bearer.authorization(token)
    }

    /// RFC 7628 §3.2.3: the only challenge is an error, and a lone %x01 lets the server say so in its reply.
    mutating func respond(to challenge: [UInt8]) throws(SASLError) -> [UInt8] {
        guard complaint == nil else { throw SASLError("the server sends a second error") }
        complaint = Bearer.status(challenge)
        return [1]
    }
}

/// What came before RFC 7628, at Google and Microsoft.
struct XOAuth2: SASLMechanism {
    private let user: String
    private let token: Secret
    private(set) var complaint: String?

    init(_ credential: Credential) throws(SASLError) {
        token = try Bearer.token(credential)
        user = credential.user
    }

    var initialResponse: [UInt8]? { Array("user=\(user)\u{1}".utf8) + Bearer.authorization(token) }

    /// The only challenge is an error; it is answered by an empty line.
    mutating func respond(to challenge: [UInt8]) throws(SASLError) -> [UInt8] {
        guard complaint == nil else { throw SASLError("the server sends a second error") }
        complaint = Bearer.status(challenge)
        return []
    }
}

private enum Bearer {
    static func token(_ credential: Credential) throws(SASLError) -> Secret {
        guard credential.secret.isVisible else { throw SASLError("the token has other than visible ASCII characters") }
        return credential.secret
    }

    static func authorization(_ token: Secret) -> [UInt8] {
        Array("auth=Bearer ".utf8) + token.bytes + [1, 1]
    }

    /// RFC 7628 §3.2.2: `status` is the code of the error; of the rest nothing is worth an operator's line.
    static func status(_ challenge: [UInt8]) -> String {
        let status = (try? JSONValue(parsing: challenge))?["status"]?.string ?? ""
        let isPlain = !status.isEmpty && status.utf8.count <= 64 && status.utf8.allSatisfy { $0 > 0x20 && $0 < 0x7F }
        return isPlain ? "status \(status)" : "no status given"
    }
}
