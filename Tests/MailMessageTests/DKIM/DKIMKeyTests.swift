// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import Crypto
import CryptoExtras
import MailMessage
import Testing

/// Keys of the tests' own, made once.
enum Keys {
    static let rsa = Result { try _RSA.Signing.PrivateKey(keySize: .bits2048) }
    static let ed25519 = Curve25519.Signing.PrivateKey()

    /// PKCS#8; with `publicHalf` the longer form of RFC 5958.
    static func pem(_ key: Curve25519.Signing.PrivateKey, publicHalf: Bool = false) -> String {
        let seed = [UInt8](key.rawRepresentation)
        let algorithm: [UInt8] = [0x30, 0x05, 0x06, 0x03, 0x2B, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20]
        let tail: [UInt8] = publicHalf ? [0x81, 0x21, 0x00] + [UInt8](key.publicKey.rawRepresentation) : []
        let inner = [0x02, 0x01, publicHalf ? 0x01 : 0x00] + algorithm + seed + tail
        return pem("PRIVATE KEY", [0x30, UInt8(inner.count)] + inner)
    }

    static func pem(_ label: String, _ der: [UInt8]) -> String {
        "-----BEGIN \(label)-----\n\(base64(der))\n-----END \(label)-----\n"
    }
}

@Suite("Keys")
struct DKIMKeyTests {
    @Test("RSA is read as PKCS#1 and as PKCS#8, Ed25519 as PKCS#8 with or without its public half")
    func forms() throws {
        let rsa = try Keys.rsa.get()
        let record = "v=DKIM1; k=rsa; p=\(base64([UInt8](rsa.publicKey.derRepresentation)))"
        #expect(rsa.pemRepresentation.hasPrefix("-----BEGIN RSA PRIVATE KEY-----"))
        #expect(try DKIMKey(pem: rsa.pemRepresentation).record == record)
        #expect(rsa.pkcs8PEMRepresentation.hasPrefix("-----BEGIN PRIVATE KEY-----"))
        #expect(try DKIMKey(pem: rsa.pkcs8PEMRepresentation).record == record)
        let short = try DKIMKey(pem: Keys.pem(Keys.ed25519)).record
        #expect(short == "v=DKIM1; k=ed25519; p=\(base64([UInt8](Keys.ed25519.publicKey.rawRepresentation)))")
        #expect(try DKIMKey(pem: Keys.pem(Keys.ed25519, publicHalf: true)).record == short)
        let windows = "some text before\r\n" + Keys.pem(Keys.ed25519).split(separator: "\n").joined(separator: "\r\n")
        #expect(try DKIMKey(pem: windows).record == short)
    }

    @Test("RFC 8301 §3.2: an RSA key under 2048 bits is refused, one over 4096 too", arguments: [1024, 5120])
    func size(bits: Int) throws {
        let key = try _RSA.Signing.PrivateKey(unsafeKeySize: .init(bitCount: bits))
        #expect(fault(key.pemRepresentation) == "is an RSA key of \(bits) bits; it must have 2048 to 4096")
    }

    @Test(
        "what is no such key says what it is",
        arguments: [
            ("", "is no PEM file"), ("MC4CAQAw", "is no PEM file"), ("-----BEGIN PRIVATE KEY\n", "is no PEM file"),
            (Keys.pem("PUBLIC KEY", [1]), "holds \"PUBLIC KEY\""),
            (Keys.pem("EC PRIVATE KEY", [1]), "holds \"EC PRIVATE KEY\""),
            (Keys.pem("OPENSSH PRIVATE KEY", [1]), "holds \"OPENSSH PRIVATE KEY\""),
            (Keys.pem("ENCRYPTED PRIVATE KEY", [1]), "is encrypted"),
            (Keys.pem("PRIVATE KEY", [0x30, 1, 2]), "is not a private key of RSA or Ed25519"),
            (Keys.pem("RSA PRIVATE KEY", [0x30, 1, 2]), "is not a private key of RSA or Ed25519"),
            ("-----BEGIN PRIVATE KEY-----\n?\n-----END PRIVATE KEY-----\n", "is not a private key"),
            (P256.Signing.PrivateKey().pemRepresentation, "is not a private key of RSA or Ed25519"),
        ])
    func faults(text: String, reason: String) {
        let fault = fault(text)
        #expect(fault?.hasPrefix(reason) == true, "\(fault ?? "accepted")")
    }

    private func fault(_ pem: String) -> String? {
        do throws(DKIMKeyError) {
            _ = try DKIMKey(pem: pem)
            return nil
        } catch {
            return error.description
        }
    }
}
