// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import Crypto
import CryptoExtras
import MailMessage
import Testing

/// RFC 8463 appendix A: keys and a message signed with both.
enum RFC8463 {
    /// A.1's secret key in the wrapping of PKCS#8 (RFC 8410 §7).
    static let ed25519 = """
        -----BEGIN PRIVATE KEY-----
        MC4CAQAwBQYDK2VwBCIEIJ1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9g
        -----END PRIVATE KEY-----
        """
    static let ed25519Record = "v=DKIM1; k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo="
    static let rsaPublicKey = """
        -----BEGIN PUBLIC KEY-----
        MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQDkHlOQoBTzWRiGs5V6NpP3idY6
        Wk08a5qhdR6wy5bdOKb2jLQiY/J16JYi0Qvx/byYzCNb3W91y3FutACDfzwQ/BC/
        e/8uBsCR+yz1Lxj+PL6lHvqMKrM3rG4hstT5QjvHO9PzoxZyVYLzBfO2EeC3Ip3G
        +2kryOTIKT+l/K4w3QIDAQAB
        -----END PUBLIC KEY-----
        """

    /// The first signature without what stands in b=, and what does.
    static let ed25519Field = """
        DKIM-Signature: v=1; a=ed25519-sha256; c=relaxed/relaxed;
         d=football.example.com; i=@football.example.com;
         q=dns/txt; s=brisbane; t=1528637909; h=from : to :
         subject : date : message-id : from : subject : date;
         bh=2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8=;
         b=
        """
    static let ed25519Signature =
        "/gCrinpcQOoIfuHNQIbq4pgh9kyIK3AQUdt9OdqQehSwhEIug4D11BusFa3bT3FY5OsU7ZbnKELq+eXdp1Q1Dw=="
    static let rsaField = """
        DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/relaxed;
         d=football.example.com; i=@football.example.com;
         q=dns/txt; s=test; t=1528637909; h=from : to : subject :
         date : message-id : from : subject : date;
         bh=2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8=;
         b=
        """
    static let rsaSignature =
        "F45dVWDfMbQDGHJFlXUNB2HKfbCeLRyhDXgFpEL8GwpsRe0IeIixNTe3DhCVlUrSjV4BwcVcOF6+FF3Zo9Rpo1tFOeS9mPYQTnGdaSGs"
        + "geefOsk2JzdA+L10TeYt9BgDfQNZtKdN1WO//KgIqXP7OdEFE4LjFYNcUxZQ4FADY+8="

    /// From, To, Subject, Date and Message-ID, in the order of h=.
    static let header = [
        "From: Joe SixPack <joe@football.example.com>", "To: Suzie Q <suzie@shopping.example.net>",
        "Subject: Is dinner ready?", "Date: Fri, 11 Jul 2003 21:00:37 -0700 (PDT)",
        "Message-ID: <20030712040037.46341.5F8J@football.example.com>",
    ]
    static let body = "Hi.\r\n\r\nWe lost the game.  Are you hungry yet?\r\n\r\nJoe.\r\n"
}

@Suite("RFC 8463 appendix A")
struct RFC8463Tests {
    @Test("the body's hash is the one in bh=")
    func bodyHash() {
        var hash = SHA256()
        Array(RFC8463.body.utf8).withUnsafeBytes { RelaxedBody.write($0) { hash.update(bufferPointer: $0) } }
        #expect(base64(Array(hash.finalize())) == "2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8=")
    }

    @Test("our relaxed header and our Ed25519 signature are the ones of the example, octet for octet")
    func ed25519() throws {
        let key = try DKIMKey(pem: RFC8463.ed25519)
        #expect(key.record == RFC8463.ed25519Record)
        #expect(base64(try key.sign(digest(RFC8463.ed25519Field))) == RFC8463.ed25519Signature)
    }

    @Test("the example's RSA signature holds over our relaxed header")
    func rsa() throws {
        let key = try _RSA.Signing.PublicKey(unsafePEMRepresentation: RFC8463.rsaPublicKey)
        let given = try #require(octets(base64: RFC8463.rsaSignature))
        let signature = _RSA.Signing.RSASignature(rawRepresentation: given)
        #expect(key.isValidSignature(signature, for: digest(RFC8463.rsaField), padding: .insecurePKCS1v1_5))
        #expect(!key.isValidSignature(signature, for: digest(RFC8463.ed25519Field), padding: .insecurePKCS1v1_5))
    }

    /// RFC 6376 §3.7: the fields of h= with a CRLF after each, then the signature's own without one.
    private func digest(_ field: String) -> SHA256.Digest {
        var canonical: [UInt8] = []
        for line in RFC8463.header {
            append(line, to: &canonical)
            canonical += [0x0D, 0x0A]
        }
        append(String(field.map { $0 == "\n" ? "\r\n" : $0 }), to: &canonical)
        return SHA256.hash(data: canonical)
    }

    private func append(_ field: String, to output: inout [UInt8]) {
        let bytes = Array(field.utf8)
        let colon = bytes.firstIndex(of: 0x3A) ?? 0
        SignedHeader.appendRelaxed(name: bytes[..<colon], value: bytes[(colon + 1)...], to: &output)
    }
}

private let alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8)

/// RFC 4648 §4, written for tests: no part of what is tested.
func base64(_ octets: [UInt8]) -> String {
    var text = ""
    for start in stride(from: 0, to: octets.count, by: 3) {
        let group = octets[start..<min(start + 3, octets.count)]
        let bits = (Array(group) + [0, 0]).prefix(3).reduce(0) { $0 << 8 | Int($1) }
        for index in 0..<4 {
            let digit = alphabet[bits >> (18 - 6 * index) & 63]
            text += index > group.count ? "=" : String(Unicode.Scalar(digit))
        }
    }
    return text
}

func octets(base64 text: String) -> [UInt8]? {
    var result: [UInt8] = []
    var (bits, count) = (0, 0)
    for byte in text.utf8 where byte != 0x3D {
        guard let value = alphabet.firstIndex(of: byte) else { return nil }
        bits = (bits << 6 | value) & 0xFFFF
        count += 6
        if count >= 8 {
            count -= 8
            result.append(UInt8(truncatingIfNeeded: bits >> count))
        }
    }
    return result
}
