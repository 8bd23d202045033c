// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailJob
import MailTransport
import NIOCore
import NIOPosix
import NIOSSL
import Testing

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

@Suite("Encrypted sessions over real sockets")
struct TLSLoopbackTests {
    private let loop = MultiThreadedEventLoopGroup.singleton.next()
    private static let folder = DialogueFileTests.folder.dropLast("Dialogues".count) + "Certificates"

    private static func path(_ name: String) -> String { "\(folder)/\(name)" }

    /// A server's side with this certificate; `client`: it wants one of ours.
    private func context(
        _ certificate: String, client: Bool = false, versions: (TLSVersion, TLSVersion) = (.tlsv12, .tlsv13)
    ) throws -> NIOSSLContext {
        var settings = TLSConfiguration.makeServerConfiguration(
            certificateChain: try NIOSSLCertificate.fromPEMFile(Self.path(certificate)).map { .certificate($0) },
            privateKey: .privateKey(try NIOSSLPrivateKey(file: Self.path("server.key"), format: .pem)))
        settings.minimumTLSVersion = versions.0
        settings.maximumTLSVersion = versions.1
        if client {
            settings.certificateVerification = .noHostnameVerification
            settings.trustRoots = .file(Self.path("authority.pem"))
        }
        return try NIOSSLContext(configuration: settings)
    }

    /// One mail through a server of this kind; what became of it, and what the server took.
    private func deliver(
        _ tls: TLSPolicy, _ context: NIOSSLContext, host: String = "localhost", roots: String? = "authority.pem",
        adjust: (inout RelayConfiguration) -> Void = { _ in }
    ) async throws -> (outcome: Outcome, log: ScriptedServer.Log) {
        let script = ScriptedServer.Script(tls: (context, tls == .implicit))
        let server = try await ScriptedServer.start(script, on: loop)
        var configuration = RelayConfiguration(name: "test", host: host, port: server.port, ehloName: "client.example")
        configuration.tls = tls
        configuration.tlsFiles.roots = roots.map(Self.path)
        adjust(&configuration)
        let settings = configuration
        let encryption = try RelayTLS(settings)
        let loop = self.loop
        let promise = loop.makePromise(of: Outcome.self)
        try await loop.submit {
            let relay = SMTPRelay(settings, loop: loop, encryption: encryption)
            let mail = Mail(
                job: JobID(raw: 1), sender: "a@example.org", recipients: ["b@example.com"],
                message: ByteBuffer(string: "hi\r\n"), needs8BitMIME: false)
            relay.send(mail) { outcome in relay.close { promise.succeed(outcome) } }
        }.get()
        let outcome = try await promise.futureResult.get()
        return (outcome, try await server.stop())
    }

    private func refusal(_ outcome: Outcome) -> String {
        let verdict = outcome.verdicts[0]
        return "\(verdict.name) \(verdict.reply.code) \(verdict.reply.enhanced) \(verdict.reply.text)"
    }

    @Test(
        "a certificate that is trusted and names the host: delivered, with the version in the outcome",
        arguments: [TLSPolicy.required, .implicit], ["localhost", "127.0.0.1"])
    func verified(tls: TLSPolicy, host: String) async throws {
        let (outcome, log) = try await deliver(tls, context("server.pem"), host: host)
        #expect(outcome.verdicts == [.delivered(Reply(250, "2.0.0", "taken"))])
        #expect(outcome.tls == "TLSv1.3")
        #expect(log.messages == [ByteBuffer(string: "hi\r\n")])
    }

    @Test("a server that knows only TLS 1.2 will do")
    func older() async throws {
        let (outcome, _) = try await deliver(.required, context("server.pem", versions: (.tlsv12, .tlsv12)))
        #expect(outcome.verdicts[0].name == "delivered" && outcome.tls == "TLSv1.2")
    }

    @Test("RFC 8996: a server that knows only TLS 1.1 will not")
    func tooOld() async throws {
        let (outcome, log) = try await deliver(.required, context("server.pem", versions: (.tlsv1, .tlsv11)))
        #expect(refusal(outcome).hasPrefix("deferred 454 4.7.5 no TLS with localhost:"))
        #expect(log.messages.isEmpty && outcome.tls == nil)
    }

    @Test(
        "a certificate that does not verify: deferred with the reason, and the server gets nothing",
        arguments: [TLSPolicy.required, .implicit],
        [
            ("other-name.pem", "localhost", "its certificate is not for localhost"),
            ("other-name.pem", "127.0.0.1", "its certificate is not for 127.0.0.1"),
            ("expired.pem", "localhost", "its certificate has expired"),
        ])
    func bad(tls: TLSPolicy, certificate: (file: String, host: String, reason: String)) async throws {
        let (outcome, log) = try await deliver(tls, context(certificate.file), host: certificate.host)
        let words = refusal(outcome)
        #expect(words.hasPrefix("deferred 454 4.7.5 no TLS with \(certificate.host):"), "\(words)")
        #expect(words.hasSuffix(": \(certificate.reason)"), "\(words)")
        #expect(log.messages.isEmpty && outcome.tls == nil)
    }

    @Test("the system's roots do not know our authority", arguments: [TLSPolicy.required, .implicit])
    func untrusted(tls: TLSPolicy) async throws {
        let (outcome, log) = try await deliver(tls, context("server.pem"), roots: nil)
        #expect(refusal(outcome).hasSuffix("not signed by an authority that is trusted here"), "\(refusal(outcome))")
        #expect(log.messages.isEmpty)
    }

    @Test("RFC 7435: opportunistic encryption asks for no certificate", arguments: ["other-name.pem", "expired.pem"])
    func opportunistic(certificate: String) async throws {
        let (outcome, _) = try await deliver(.opportunistic, context(certificate), roots: nil)
        #expect(outcome.verdicts[0].name == "delivered" && outcome.tls == "TLSv1.3")
    }

    @Test("TLS is spoken to a server that does not: deferred with the reason")
    func noTLS() async throws {
        let server = try await ScriptedServer.start(.init(), on: loop)
        let (outcome, _) = try await deliver(.implicit, context("server.pem")) { $0.port = server.port }
        #expect(refusal(outcome).hasPrefix("deferred 454 4.7.5 no TLS with localhost:"), "\(refusal(outcome))")
        #expect(refusal(outcome).hasSuffix("wrong version number"), "\(refusal(outcome))")
        _ = try await server.stop()
    }

    @Test("a server that wants a certificate of ours gets it, and refuses us without", arguments: [true, false])
    func client(has: Bool) async throws {
        let directory = TemporaryDirectory()
        directory.write("key", try #require(TemporaryDirectory.read(Self.path("client.key"))))
        chmod(directory.path + "/key", 0o600)
        let context = try context("server.pem", client: true)
        let (outcome, log) = try await deliver(.required, context) { relay in
            guard has else { return }
            relay.tlsFiles.certificate = Self.path("client.pem")
            relay.tlsFiles.key = directory.path + "/key"
        }
        #expect(outcome.verdicts[0].name == (has ? "delivered" : "deferred"))
        #expect(log.messages.count == (has ? 1 : 0))
        #expect(has || refusal(outcome).contains("certificate required"), "\(refusal(outcome))")
    }

    @Test("files that cannot be used are errors that name key and path")
    func files() throws {
        let directory = TemporaryDirectory()
        directory.write("open", try #require(TemporaryDirectory.read(Self.path("client.key"))))
        chmod(directory.path + "/open", 0o644)
        directory.write("server", try #require(TemporaryDirectory.read(Self.path("server.key"))))
        chmod(directory.path + "/server", 0o600)
        let none = directory.path + "/none"
        let client = Self.path("client.pem")
        #expect(problem { $0.roots = none }.hasPrefix("tls_roots: \(none) has no certificate that can be read"))
        #expect(problem { $0.roots = Self.path("client.key") }.hasPrefix("tls_roots: "))
        #expect(problem { ($0.certificate, $0.key) = (none, none) }.hasPrefix("tls_certificate: \(none)"))
        #expect(problem { ($0.certificate, $0.key) = (client, none) }.hasPrefix("tls_key: \(none) cannot be read"))
        let isOpen = problem { ($0.certificate, $0.key) = (client, directory.path + "/open") }
        #expect(isOpen.contains("is open to others (mode 0644)"))
        let another = problem { ($0.certificate, $0.key) = (client, directory.path + "/server") }
        #expect(another == "tls_certificate: certificate and key do not belong together")
    }

    private func problem(_ change: (inout TLSFiles) -> Void) -> String {
        var relay = RelayConfiguration(name: "test", host: "localhost", port: 25, ehloName: "client.example")
        relay.tls = .required
        change(&relay.tlsFiles)
        do throws(TLSFileError) {
            _ = try RelayTLS(relay)
            return "none"
        } catch {
            return error.description
        }
    }
}
