// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import Crypto
import MailJob
import MailMessage
import MailWire
import Secrets

/// RFC 7523 §3: who asks says so in a signed statement, as Google's service accounts do.
package struct JWTAssertion {
    /// Google takes an hour at most.
    private static let lifetimeSeconds: Int64 = 3600

    private let key: DKIMKey
    /// Under which the endpoint knows the key, where its file says so.
    private let keyID: String?

    /// - Parameter content: an RSA key in PEM, or the JSON file of a service account that has one.
    package init(_ content: [UInt8], name: String) throws(SecretFileError) {
        let json = try? JSONValue(parsing: content)
        keyID = json?["private_key_id"]?.string
        let pem = json?["private_key"]?.string ?? String(decoding: content, as: UTF8.self)
        do {
            key = try DKIMKey(pem: pem)
        } catch {
            throw SecretFileError(reason: "\(name) \(error)")
        }
        guard key.record.contains("k=rsa") else { throw SecretFileError(reason: "\(name) holds no RSA key") }
    }

    /// The three parts of RFC 7515 §3.1, signed by RS256 (RFC 7518 §3.3), which is DKIM's rsa-sha256.
    /// - Parameters:
    ///   - issuer: the account that owns the key.
    ///   - subject: whose mailbox it is.
    package func text(
        issuer: String, subject: String, audience: String, scope: String?, now: WallTime
    ) throws(SecretFileError) -> String {
        var header: JSONObject = ["alg": "RS256", "typ": "JWT"]
        header["kid"] = keyID.map { .string($0) }
        let issued = now.milliseconds / 1000
        var claims: JSONObject = [
            "iss": .string(issuer), "sub": .string(subject), "aud": .string(audience), "iat": .integer(issued),
            "exp": .integer(issued + Self.lifetimeSeconds),
        ]
        claims["scope"] = scope.map { .string($0) }
        let parts = [header, claims].map { Self.base64url(Array(JSONValue.object($0).text.utf8)) }
        let signed = parts.joined(separator: ".")
        do throws(DKIMError) {
            return "\(signed).\(Self.base64url(try key.sign(SHA256.hash(data: Array(signed.utf8)))))"
        } catch {
            throw SecretFileError(reason: "the assertion could not be signed: \(error.reason)")
        }
    }

    /// RFC 7515 §2: without padding, and without what a URL would have to encode.
    private static func base64url(_ bytes: [UInt8]) -> String {
        Base64Text.encode(bytes).replacing("+", with: "-").replacing("/", with: "_").replacing("=", with: "")
    }
}
