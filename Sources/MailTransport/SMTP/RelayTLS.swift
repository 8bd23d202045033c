// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailJob
import MailWire
import NIOCore
import NIOSSL
import Secrets

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

/// The files of a relay's TLS, all PEM.
package struct TLSFiles: Equatable, Sendable {
    /// Authorities to trust in place of the system's.
    package var roots: String?
    /// Our own certificate with its chain, and its key.
    package var certificate: String?
    package var key: String?

    package init() {}
}

/// Why a relay's TLS cannot be set up.
package struct TLSFileError: Error, Equatable, CustomStringConvertible {
    /// Of the configuration, such as `tls_roots`; empty where no file is to blame.
    package var key = ""
    package var reason: String

    package init(key: String = "", reason: String) {
        self.key = key
        self.reason = reason
    }

    package var description: String { key.isEmpty ? reason : "\(key): \(reason)" }
}

/// Everything needed to encrypt sessions with one relay: read once, used for each.
package struct RelayTLS: Sendable {
    private let context: NIOSSLContext
    private let host: String

    /// Where the settings are those of many hosts.
    init(host: String, sharing context: NIOSSLContext) {
        self.host = host
        self.context = context
    }

    /// Reads the files, and the system's roots where none are named.
    package init(_ relay: RelayConfiguration) throws(TLSFileError) {
        host = relay.host
        var settings = TLSConfiguration.makeClientConfiguration()
        // RFC 8314 §4.1, RFC 8996.
        settings.minimumTLSVersion = .tlsv12
        settings.certificateVerification = relay.tls.isVerified ? .fullVerification : .none
        if let roots = relay.tlsFiles.roots {
            settings.trustRoots = .certificates(try Self.certificates(roots, "tls_roots"))
        }
        if let certificate = relay.tlsFiles.certificate, let key = relay.tlsFiles.key {
            let chain = try Self.certificates(certificate, "tls_certificate")
            settings.certificateChain = chain.map { .certificate($0) }
            settings.privateKey = .privateKey(try Self.privateKey(key))
        }
        do {
            context = try NIOSSLContext(configuration: settings)
        } catch {
            guard relay.tlsFiles.key != nil, case NIOSSLError.failedToLoadPrivateKey = error else {
                throw TLSFileError(key: "tls_roots", reason: Self.words(error))
            }
            throw TLSFileError(key: "tls_certificate", reason: "certificate and key do not belong together")
        }
    }

    /// The same settings for another server.
    func named(_ host: String) -> RelayTLS { RelayTLS(host: host, sharing: context) }

    static func certificates(_ path: String, _ key: String) throws(TLSFileError) -> [NIOSSLCertificate] {
        do {
            let found = try NIOSSLCertificate.fromPEMFile(path)
            guard !found.isEmpty else { throw TLSFileError(reason: "there is none in it") }
            return found
        } catch {
            throw TLSFileError(key: key, reason: "\(path) has no certificate that can be read: \(words(error))")
        }
    }

    private static func privateKey(_ path: String) throws(TLSFileError) -> NIOSSLPrivateKey {
        let bytes: [UInt8]
        do throws(SecretFileError) {
            bytes = try PrivateFile.file(path).content()
        } catch {
            throw TLSFileError(key: "tls_key", reason: error.reason)
        }
        do {
            return try NIOSSLPrivateKey(bytes: bytes, format: .pem)
        } catch {
            throw TLSFileError(key: "tls_key", reason: "\(path) has no private key that can be read: \(words(error))")
        }
    }

    func handler() throws -> NIOSSLClientHandler {
        // RFC 6066 §3: an address is no server name; the certificate is then held against the address itself.
        let isAddress = (try? SocketAddress(ipAddress: host, port: 0)) != nil
        return try NIOSSLClientHandler(context: context, serverHostname: isAddress ? nil : host)
    }

    /// `for mx.example, 192.0.2.1, until 2027-01-31`; nil where there is none.
    static func words(_ certificate: NIOSSLCertificate?) -> String? {
        guard let certificate else { return nil }
        let parts = certificate.description.dropFirst().dropLast().split(separator: ";")
        let named = ["alternative_names=", "common_name="].lazy.compactMap { prefix in
            parts.first { $0.hasPrefix(prefix) }.map { $0.dropFirst(prefix.count) }
        }
        let names = (named.first { !$0.isEmpty }?.split(separator: ",") ?? ["nobody"]).joined(separator: ", ")
        let end = WallTime(milliseconds: Int64(certificate.notValidAfter) * 1000).rfc3339.prefix(10)
        return "for \(names), until \(end)"
    }

    static func name(_ version: TLSVersion?) -> String {
        switch version {
        case .tlsv12: "TLSv1.2"
        case .tlsv13: "TLSv1.3"
        default: "TLS"
        }
    }

    /// Why there is no encryption, or no longer.
    func reason(_ error: any Error, _ handler: NIOSSLClientHandler?) -> String {
        switch error {
        case let error as NIOSSLExtraError
        where error == .failedToValidateHostname || error == .serverHostnameImpossibleToMatch:
            return "its certificate is not for \(host)"
        case NIOSSLError.unableToValidateCertificate: return "its certificate is not for \(host)"
        case NIOSSLError.noCertificateToValidate: return "it has no certificate"
        case NIOSSLError.uncleanShutdown: return "the server closed it"
        default: break
        }
        let words = Self.words(error)
        return words == "certificate verify failed" ? Self.distrust(handler?.peerCertificate) : words
    }

    /// BoringSSL says only that it does not trust a certificate; most often its dates are the cause, or its author.
    private static func distrust(_ certificate: NIOSSLCertificate?) -> String {
        guard let certificate else { return "its certificate does not verify" }
        let now = time(nil)
        if certificate.notValidAfter < now { return "its certificate has expired" }
        if certificate.notValidBefore > now { return "its certificate is not valid yet" }
        return "its certificate is not signed by an authority that is trusted here"
    }

    /// The words of BoringSSL's innermost reason: `…:OPENSSL_internal:WRONG_VERSION_NUMBER at …`.
    static func words(_ error: any Error) -> String {
        switch error {
        case NIOSSLError.handshakeFailed(let cause): return words(cause)
        case BoringSSLError.sslError(let stack), BoringSSLError.unknownError(let stack):
            guard let last = stack.last?.description else { return "it failed without a reason" }
            let reason = last.split(separator: "OPENSSL_internal:").last.map(String.init) ?? last
            let name = reason.split(separator: " at ").first.map(String.init) ?? reason
            if name == "Error:  EOF during handshake" { return "the server closed it" }
            return name.lowercased().split(separator: "_").joined(separator: " ")
        case let error as TLSFileError: return error.description
        case let error as IOError: return Connector.errorText(error.errnoCode)
        default: return Connector.reason(error)
        }
    }
}
