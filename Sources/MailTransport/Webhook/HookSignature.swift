// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import Crypto
import MailJob
import MailWire
import Secrets

/// How a receiver can tell that a request is ours, and whole: HMAC-SHA256 under a secret that both know.
package enum HookSignature: String, CaseIterable, Sendable {
    /// Standard Webhooks: `webhook-id`, `webhook-timestamp`, `webhook-signature`, over all three and the body.
    case standard
    /// GitHub's: `X-Hub-Signature-256`, over the body.
    case github

    /// - Parameters:
    ///   - id: the same at every attempt.
    ///   - body: all of it.
    package func fields(
        id: String, at time: WallTime, secret: Secret, body: UnsafeRawBufferPointer
    ) -> [(name: String, value: String)] {
        switch self {
        case .github:
            let code = Self.code([], body, secret.bytes)
            return [("X-Hub-Signature-256", "sha256=\(Self.hexadecimal(code))")]
        case .standard:
            let timestamp = String(time.milliseconds / 1000)
            let code = Self.code(Array("\(id).\(timestamp).".utf8), body, Self.key(secret))
            return [
                ("webhook-id", id), ("webhook-timestamp", timestamp),
                ("webhook-signature", "v1,\(Base64Text.encode(code))"),
            ]
        }
    }

    /// Standard Webhooks § Signature scheme: a secret is written `whsec_` and base64.
    private static func key(_ secret: Secret) -> [UInt8] {
        let prefix = Array("whsec_".utf8)
        guard secret.bytes.starts(with: prefix) else { return secret.bytes }
        let text = String(decoding: secret.bytes.dropFirst(prefix.count), as: UTF8.self)
        return Base64Text.decode(text) ?? secret.bytes
    }

    private static func code(_ head: [UInt8], _ body: UnsafeRawBufferPointer, _ key: [UInt8]) -> [UInt8] {
        var code = HMAC<SHA256>(key: SymmetricKey(data: key))
        code.update(data: head)
        code.update(data: body)
        return Array(code.finalize())
    }

    private static func hexadecimal(_ bytes: [UInt8]) -> String {
        bytes.map { $0 < 16 ? "0\(String($0, radix: 16))" : String($0, radix: 16) }.joined()
    }
}
