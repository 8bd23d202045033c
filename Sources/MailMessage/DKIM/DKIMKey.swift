// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import Crypto
import CryptoExtras

/// A private key that signs mail; read once from its file, used for every message.
package struct DKIMKey: Sendable {
    /// RFC 8301 §3.2: signers use 2048 bits at least; no verifier must know keys over 4096.
    package static let rsaBits = 2048...4096

    private enum Secret: Sendable {
        case rsa(_RSA.Signing.PrivateKey)
        case ed25519(Curve25519.Signing.PrivateKey)
    }

    private let secret: Secret
    /// RFC 6376 §3.6.1 and RFC 8463 §4.2: what belongs into DNS at `SELECTOR._domainkey.DOMAIN`.
    package let record: String

    /// Reads a PEM text: PKCS#8 of either algorithm, or PKCS#1, which is RSA's alone.
    package init(pem: String) throws(DKIMKeyError) {
        switch PEMText.label(pem) {
        case nil: throw DKIMKeyError("is no PEM file: it has no line -----BEGIN PRIVATE KEY-----")
        case "RSA PRIVATE KEY": try self.init(rsa: pem)
        case "PRIVATE KEY":
            if let seed = PEMText.ed25519Seed(pem) {
                try self.init(ed25519: seed)
            } else {
                try self.init(rsa: pem)
            }
        case "ENCRYPTED PRIVATE KEY": throw DKIMKeyError("is encrypted, and maild has nobody to ask for its passphrase")
        case let label?: throw DKIMKeyError("holds \(Self.shown(label)), not a private key of RSA or Ed25519")
        }
    }

    private static func shown(_ label: Substring) -> String {
        "\"\(label.prefix(40).filter { $0.isASCII && !$0.isNewline })\""
    }

    private init(rsa pem: String) throws(DKIMKeyError) {
        let bounds = "\(Self.rsaBits.lowerBound) to \(Self.rsaBits.upperBound)"
        let key: _RSA.Signing.PrivateKey
        do {
            // Without the library's own bound of 2048 bits, so that the refusal can tell what the key has.
            key = try _RSA.Signing.PrivateKey(unsafePEMRepresentation: pem)
        } catch CryptoKitError.incorrectParameterSize {
            throw DKIMKeyError("is an RSA key of less than 1024 bits; it must have \(bounds)")
        } catch {
            throw DKIMKeyError("is not a private key of RSA or Ed25519")
        }
        guard Self.rsaBits.contains(key.keySizeInBits) else {
            throw DKIMKeyError("is an RSA key of \(key.keySizeInBits) bits; it must have \(bounds)")
        }
        secret = .rsa(key)
        record = "v=DKIM1; k=rsa; p=\(Base64.text([UInt8](key.publicKey.derRepresentation)))"
    }

    private init(ed25519 seed: [UInt8]) throws(DKIMKeyError) {
        do {
            let key = try Curve25519.Signing.PrivateKey(rawRepresentation: seed)
            secret = .ed25519(key)
            record = "v=DKIM1; k=ed25519; p=\(Base64.text([UInt8](key.publicKey.rawRepresentation)))"
        } catch {
            throw DKIMKeyError("is not a private key of RSA or Ed25519")
        }
    }

    /// RFC 6376 §3.3, RFC 8463 §3. `rsa-sha1` is not among them (RFC 8301 §3.1).
    var algorithm: StaticString {
        switch secret {
        case .rsa: "rsa-sha256"
        case .ed25519: "ed25519-sha256"
        }
    }

    /// The same digest always gives the same octets, for either algorithm.
    package func sign(_ digest: SHA256.Digest) throws(DKIMError) -> [UInt8] {
        do {
            switch secret {
            case .rsa(let key):
                // RFC 8017 §8.2 (v1.5) is what RFC 6376 §3.3.2 asks for.
                return [UInt8](try key.signature(for: digest, padding: .insecurePKCS1v1_5).rawRepresentation)
            case .ed25519(let key):
                // RFC 8463 §3: PureEdDSA over the hash.
                return [UInt8](try key.signature(for: [UInt8](digest)))
            }
        } catch {
            throw DKIMError(reason: "\(error)")
        }
    }
}

/// Why a text is no key; reads on after its name: `is encrypted …`. Never holds anything of the key.
package struct DKIMKeyError: Error, Equatable, CustomStringConvertible {
    package let description: String

    init(_ description: String) { self.description = description }
}

/// The key could not sign, which is a fault of the machine and not of the message.
package struct DKIMError: Error, Equatable, CustomStringConvertible {
    package let reason: String
    package var description: String { "the message could not be signed: \(reason)" }

    package init(reason: String) { self.reason = reason }
}
