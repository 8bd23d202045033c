// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailJob
import MailWire
import Secrets

/// Why there is no access token; without any part of a secret.
package struct OAuthFault: Error, Equatable {
    /// Names the endpoint.
    package var reason: String
    /// Seconds for which the endpoint does not want to be asked.
    package var retryAfter: Double?
    /// RFC 6749 §5.2 invalid_grant: the refresh token is used up, expired or withdrawn.
    package var isGrantInvalid = false

    package init(_ reason: String) { self.reason = reason }
}

/// An endpoint's good answer (RFC 6749 §5.1).
package struct OAuthGrant: Equatable, Sendable {
    package var token: Secret
    /// Seconds.
    package var lifetime: Double
    /// In the place of the one that was used.
    package var refreshToken: Secret?

    /// RFC 6749 §5.1 only recommends `expires_in`.
    private static let lifetimeDefault = 300.0
    /// Longer than any that is given out; a number beyond is a mistake in the units.
    private static let lifetimeMax = 86_400.0 * 30
    /// Of `error_description`: Microsoft's begin with the number of the error and go on for a page.
    private static let descriptionBytesMax = 200

    package static func read(_ response: HTTPResponse, from url: WebURL, now: WallTime) -> Result<Self, OAuthFault> {
        let json = response.isWhole ? try? JSONValue(parsing: response.body) : nil
        guard response.status == 200 else { return .failure(fault(response, json, url, now)) }
        guard let json, let text = json["access_token"]?.string, Secret(text).isVisible else {
            return .failure(OAuthFault("\(url) gives no access token, and does not say why"))
        }
        // RFC 6749 §7.1: a client must not use a token of a type that it does not know.
        guard let type = json["token_type"]?.string, type.lowercased() == "bearer" else {
            return .failure(OAuthFault("\(url) gives an access token that is no bearer token"))
        }
        var grant = OAuthGrant(token: Secret(text), lifetime: lifetimeDefault)
        // As a number, or as text, as some have it.
        let seconds = json["expires_in"].flatMap { $0.double ?? $0.string.flatMap(Double.init) }
        if let seconds, seconds > 0 { grant.lifetime = min(seconds, lifetimeMax) }
        grant.refreshToken = json["refresh_token"]?.string.flatMap { $0.isEmpty ? nil : Secret($0) }
        return .success(grant)
    }

    /// RFC 6749 §5.2.
    private static func fault(
        _ response: HTTPResponse, _ json: JSONValue?, _ url: WebURL, _ now: WallTime
    ) -> OAuthFault {
        let name = json?["error"]?.string.map { KeptText.line($0.utf8, keeping: .beginning, bytesMax: 64) }
        let description = json?["error_description"]?.string.map {
            KeptText.line($0.utf8, keeping: .beginning, bytesMax: descriptionBytesMax)
        }
        let words = [name, description].compactMap { $0 }.joined(separator: ": ")
        var fault = OAuthFault("\(url) gives no access token: \(response.status)\(words.isEmpty ? "" : " \(words)")")
        fault.isGrantInvalid = name == "invalid_grant"
        fault.retryAfter = RetryAfter.seconds(response.headers.first(name: "Retry-After"), now: now)
        return fault
    }
}

/// application/x-www-form-urlencoded, as RFC 6749 Appendix B has it.
package enum FormEncoding {
    package static func bytes(_ fields: [(name: String, value: [UInt8])]) -> [UInt8] {
        var bytes: [UInt8] = []
        for (name, value) in fields {
            if !bytes.isEmpty { bytes.append(UInt8(ascii: "&")) }
            append(Array(name.utf8), to: &bytes)
            bytes.append(UInt8(ascii: "="))
            append(value, to: &bytes)
        }
        return bytes
    }

    private static func append(_ text: [UInt8], to bytes: inout [UInt8]) {
        let digits: StaticString = "0123456789ABCDEF"
        for byte in text {
            if ASCII.isAlphanumeric(byte) || "-._~".utf8.contains(byte) {
                bytes.append(byte)
            } else {
                bytes += [UInt8(ascii: "%"), digits.utf8Start[Int(byte >> 4)], digits.utf8Start[Int(byte & 15)]]
            }
        }
    }
}
