// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailConfiguration
import MailDaemon
import MailJob
import MailTransport
import Testing

/// A text and what it must lead to; the text stands for it in the test's name.
struct GoodKey: CustomTestStringConvertible, Sendable {
    let text: String
    let holds: @Sendable (Configuration) -> Bool

    init(_ text: String, _ holds: @escaping @Sendable (Configuration) -> Bool) {
        self.text = text
        self.holds = holds
    }

    var testDescription: String { text.split(whereSeparator: \.isNewline).joined(separator: "; ") }
}

private let twoRelays = "[relay.a]\nhost = 'h'\n[relay.b]\nhost = 'h'\n"

private let goodKeys: [GoodKey] = [
    GoodKey("hostname = 'mail.example.com'") { $0.hostname == "mail.example.com" },
    GoodKey("hostname = 'box'") { $0.hostname == "box" },
    GoodKey("workers = 1") { $0.workers == 1 },
    GoodKey("workers = 1024") { $0.workers == 1024 },
    GoodKey("log_level = 'error'") { $0.logLevel == .error && $0.logLevel.priority == 3 },
    GoodKey("log_level = 'warning'") { $0.logLevel == .warning && $0.logLevel.priority == 4 },
    GoodKey("log_level = 'notice'") { $0.logLevel == .notice && $0.logLevel.priority == 5 },
    GoodKey("log_addresses = false") { !$0.logAddresses },
    GoodKey("log_level = 'debug'") { $0.logLevel == .debug && $0.logLevel.priority == 7 },
    GoodKey("drain_seconds_max = 0") { $0.drainSecondsMax == 0 },
    GoodKey("drain_seconds_max = 1.5") { $0.drainSecondsMax == 1.5 },
    GoodKey("[sockets]\nsubmit = '/a/s'") { $0.sockets.submit == "/a/s" },
    GoodKey("[sockets]\ncontrol = '/a/c'") { $0.sockets.control == "/a/c" },
    GoodKey("[sockets]\nmetrics = ''") { $0.sockets.metrics == nil },
    GoodKey("[sockets]\nmetrics = '0.0.0.0:1'") { $0.sockets.metrics == HostPort(host: "0.0.0.0", port: 1) },
    GoodKey("[sockets]\nmetrics = '[::1]:65535'") { $0.sockets.metrics == HostPort(host: "::1", port: 65535) },
    GoodKey("sockets.submit = '/a/s'") { $0.sockets.submit == "/a/s" },
    GoodKey("sockets = { submit = '/a/s' }") { $0.sockets.submit == "/a/s" },
    GoodKey("[spool]\npath = '/a/b.db'") { $0.spool.path == "/a/b.db" },
    GoodKey("[spool]\njobs_max = 1") { $0.spool.jobsMax == 1 },
    GoodKey("[spool]\nbytes_max = 1048576") { $0.spool.bytesMax == 1 << 20 },
    GoodKey("[spool]\nhistory_seconds = 0") { $0.spool.historySeconds == 0 },
    GoodKey("[spool]\nhistory_jobs_max = 0") { $0.spool.historyJobsMax == 0 },
    GoodKey("") { !$0.bounces.isWanted && $0.bounces.from == nil && !$0.bounces.returnsAll },
    GoodKey("[bounces]\nby_default = true\nfrom = 'Post <p@example.org>'\nreturn = 'full'") {
        $0.bounces.isWanted && $0.bounces.from == "Post <p@example.org>" && $0.bounces.returnsAll
    },
    GoodKey("[bounces]\nby_default = true\nreturn = 'headers'") { $0.bounces.isWanted && !$0.bounces.returnsAll },
    GoodKey("[limits]\nline_bytes_max = 1024") { $0.limits.lineBytesMax == 1024 },
    GoodKey("[limits]\nreading_bytes_max = 41943040") { $0.limits.readingBytesMax == 40 << 20 },
    GoodKey("[limits]\nconnections_max = 5") { $0.limits.connectionsMax == 5 },
    GoodKey("[limits]\nconnections_per_user_max = 5") { $0.limits.connectionsPerUserMax == 5 },
    GoodKey("[limits]\nunanswered_lines_max = 1") { $0.limits.unansweredLinesMax == 1 },
    GoodKey("[limits]\nline_seconds_max = 0.5") { $0.limits.lineSecondsMax == 0.5 },
    GoodKey("[limits]\nrecipients_max = 100000") { $0.limits.recipientsMax == 100_000 },
    GoodKey("[retry]\nfirst_seconds = 0.25") { $0.retry.firstSeconds == 0.25 },
    GoodKey("[retry]\nwait_seconds_max = 30") { $0.retry.waitSecondsMax == 30 },
    GoodKey("[retry]\nexpiry_seconds = 1") { $0.retry.expirySeconds == 1 },
    GoodKey("[metrics]\nworker_label = false") { !$0.metrics.workerLabel },
    GoodKey("[maildir]\npath = '/a/m'") { $0.maildir.path == "/a/m" },
    GoodKey("[relay.a]\nhost = 'h.example'") { $0.relays.first == RelaySettings(name: "a", host: "h.example") },
    GoodKey("relay.a.host = '::1'") { $0.relays.first?.host == "::1" },
    GoodKey("[relay.a]\nhost = 'h'\nport = 65535") { $0.relays.first?.port == 65535 },
    GoodKey("[relay.a]\nhost = 'h'\nconnections_max = 1024") { $0.relays.first?.connectionsMax == 1024 },
    GoodKey("[relay.a]\nhost = 'h'\nmessages_per_connection_max = 1") {
        $0.relays.first?.messagesPerConnectionMax == 1
    },
    GoodKey("[relay.a]\nhost = 'h'\nidle_seconds_max = 0") { $0.relays.first?.idleSecondsMax == 0 },
    GoodKey("default_relay = 'b'\n[relay.a]\nhost = '1.2.3.4'\n[relay.b]\nhost = 'h'") {
        $0.defaultRelays == ["b"] && $0.relays.map(\.name) == ["a", "b"]
    },
    GoodKey("[relay.a]\nhost = 'h'\nmessages_per_second = 0.5") { $0.relays.first?.messagesPerSecond == 0.5 },
    GoodKey("[relay.a]\nhost = 'h'\nmessages_per_second = 20") { $0.relays.first?.messagesPerSecond == 20 },
    GoodKey("\(twoRelays)[[route]]\nrelays = ['b', 'a']") {
        $0.defaultRelays == ["b", "a"] && $0.defaultRelay == nil
    },
    GoodKey("[relay.a]\nhost = 'h'\n[[route]]\nrecipient_domain = 'x.example'\nrelays = 'a'") {
        $0.routes.map(\.recipientDomains) == [["x.example"]] && $0.defaultRelays == ["a"]
    },
    GoodKey("default_relay = 'a'\n\(twoRelays)[[route]]\nsender_domain = ['x.example', '*.y.example']\nrelays = 'b'") {
        $0.routes.map(\.senderDomains) == [["x.example", "*.y.example"]] && $0.routes.map(\.relays) == [["b"]]
    },
    GoodKey("[relay.a]\nhost = 'h'") { $0.relays.first?.tls == .required && $0.relays.first?.login == nil },
    GoodKey("[relay.a]\nhost = 'localhost'") { $0.relays.first?.tls == .off },
    GoodKey("[relay.a]\nhost = '::1'\nport = 587") { $0.relays.first?.tls == .off },
    GoodKey("[relay.a]\nhost = 'h'\nport = 465") { $0.relays.first?.tls == .implicit },
    GoodKey("[relay.a]\nhost = 'h'\ntls = 'opportunistic'") { $0.relays.first?.tls == .opportunistic },
    GoodKey("[relay.a]\nhost = 'h'\ntls = 'off'") { $0.relays.first?.tls == .off },
    GoodKey("[relay.a]\nhost = 'h'\nport = 465\ntls = 'required'") { $0.relays.first?.tls == .required },
    GoodKey("[relay.a]\nhost = '127.0.0.1'\ntls = 'implicit'") { $0.relays.first?.tls == .implicit },
    GoodKey("[relay.a]\nhost = 'h'\ntls_roots = '/r'") { $0.relays.first?.tlsFiles.roots == "/r" },
    GoodKey("[relay.a]\nhost = 'h'\ntls_certificate = '/c'\ntls_key = '/k'") {
        $0.relays.first?.tlsFiles.certificate == "/c" && $0.relays.first?.tlsFiles.key == "/k"
    },
    GoodKey("[relay.a]\nhost = 'h'\nuser = 'u'\npassword_file = '/p'") {
        $0.relays.first?.login
            == LoginSettings(user: "u", secret: SecretSource(kind: .password, place: .file("/p")))
    },
    GoodKey("[relay.a]\nhost = 'localhost'\nuser = 'u'\npassword_credential = 'p'\nauth = 'cram-md5'") {
        $0.relays.first?.login
            == LoginSettings(
                user: "u", secret: SecretSource(kind: .password, place: .credential("p")), mechanism: .cramMD5)
    },
    GoodKey("[relay.a]\nhost = 'h'\nuser = 'u'\ntoken_file = '/t'\nauth = 'xoauth2'") {
        $0.relays.first?.login
            == LoginSettings(user: "u", secret: SecretSource(kind: .token, place: .file("/t")), mechanism: .xoauth2)
    },
    GoodKey("[relay.a]\nhost = 'h'\nuser = 'u'\ntoken_credential = 't'") {
        $0.relays.first?.login
            == LoginSettings(user: "u", secret: SecretSource(kind: .token, place: .credential("t")))
    },
    GoodKey("[relay.a]\nhost = 'h'\nprotocol = 'lmtp'") {
        $0.relays.first?.mailProtocol == .lmtp && $0.relays.first?.port == 24 && $0.relays.first?.tls == .required
    },
    GoodKey("[relay.a]\nhost = 'h'\nport = 2003\nprotocol = 'lmtp'") { $0.relays.first?.port == 2003 },
    GoodKey("[relay.a]\nsocket = '/run/dovecot/lmtp'\nprotocol = 'lmtp'") {
        $0.relays.first?.socket == "/run/dovecot/lmtp" && $0.relays.first?.tls == .off
    },
    GoodKey("[relay.a]\nsocket = '/s'\nuser = 'u'\npassword_file = '/p'") { $0.relays.first?.login?.user == "u" },
    GoodKey("[relay.a]\nhost = 'h'\nignore_extensions = ['chunking', 'PIPELINING']") {
        $0.relays.first?.ignoredExtensions == ["CHUNKING", "PIPELINING"]
    },
    GoodKey("[relay.a]\nhost = 'h'\nignore_extensions = 'dsn'") { $0.relays.first?.ignoredExtensions == ["DSN"] },
    GoodKey("[relay.d]\nmx = true") {
        $0.relays.first?.isMX == true && $0.relays.first?.tls == .opportunistic && $0.relays.first?.port == 25
            && $0.relays.first?.connectionsPerDomainMax == 5 && $0.relays.first?.allowsPrivate == false
    },
    GoodKey("[relay.d]\nmx = true\nport = 2525\nconnections_per_domain_max = 2\nprivate_addresses = true\ntls = 'off'")
    {
        $0.relays.first?.port == 2525 && $0.relays.first?.connectionsPerDomainMax == 2
            && $0.relays.first?.allowsPrivate == true && $0.relays.first?.tls == .off
    },
    GoodKey("[relay.d]\nmx = true\ntls = 'required'\ntls_roots = '/r'") { $0.relays.first?.tls == .required },
    GoodKey("[dns]\nservers = ['192.0.2.53', '[::1]:5353']") {
        $0.dns.servers.map(\.description) == ["192.0.2.53", "[::1]:5353"]
    },
    GoodKey("[dns]\nservers = '127.0.0.1:5353'") { $0.dns.servers.map(\.port) == [5353] },
    GoodKey("[dns]\ndnssec = 'off'") { $0.dns.validation == .off },
    GoodKey("[dns]\ndnssec = 'required'\ntrust_anchor = '/a'") {
        $0.dns.validation == .required && $0.dns.trustAnchor == "/a"
    },
    GoodKey("# only a comment\r\n\r\nworkers = 3\r\n") { $0.workers == 3 },
]

@Suite("A good configuration")
struct GoodConfigurationTests {
    @Test("each key takes its good values and leaves the others at their defaults", arguments: goodKeys)
    func goodKey(_ key: GoodKey) throws {
        let configuration = try Configuration.parse(key.text, file: "f", hostname: "host.example")
        #expect(key.holds(configuration))
        #expect(configuration != Configuration(hostname: "host.example") || key.text.isEmpty)
    }

    @Test("an empty file has the documented defaults")
    func defaults() throws {
        let configuration = try Configuration.parse("", file: "f", hostname: "host.example")
        #expect(configuration == Configuration(hostname: "host.example"))
        #expect(configuration.workers == 8 && configuration.logLevel == .info && configuration.drainSecondsMax == 20)
        #expect(configuration.sockets.submit == "/run/maild/submit.sock")
        #expect(configuration.sockets.control == "/run/maild/control.sock")
        #expect(configuration.sockets.metrics?.description == "127.0.0.1:9825")
        #expect(configuration.spool.path == "/var/lib/maild/spool.db")
        #expect(configuration.spool.jobsMax == 10_000_000 && configuration.spool.bytesMax == 21_474_836_480)
        #expect(configuration.spool.historySeconds == 86400 && configuration.spool.historyJobsMax == 1_000_000)
        #expect(configuration.limits.lineBytesMax == 41_943_040)
        #expect(configuration.limits.readingBytesMax == 268_435_456)
        #expect(configuration.limits.connectionsMax == 2048 && configuration.limits.connectionsPerUserMax == 1024)
        #expect(configuration.limits.unansweredLinesMax == 1024 && configuration.limits.lineSecondsMax == 60)
        #expect(configuration.limits.recipientsMax == 1000)
        #expect(configuration.retry.firstSeconds == 30 && configuration.retry.waitSecondsMax == 3600)
        #expect(configuration.retry.expirySeconds == 432_000)
        #expect(configuration.metrics.workerLabel && configuration.maildir.path == "/var/lib/maild/maildir")
        #expect(configuration.relays.isEmpty && configuration.defaultRelays.isEmpty)
    }

    @Test("a relay has the documented defaults")
    func relayDefaults() {
        let relay = RelaySettings(name: "a", host: "h")
        #expect(relay.port == 25 && relay.connectionsMax == 16)
        #expect(relay.messagesPerConnectionMax == 1000 && relay.idleSecondsMax == 30)
    }

    @Test("a state directory moves every default path and no path that the file names")
    func stateDirectory() throws {
        let text = "[maildir]\npath = '/elsewhere'"
        let configuration = try Configuration.parse(text, file: "f", stateDirectory: "/s", hostname: "h")
        #expect(configuration.sockets.submit == "/s/submit.sock" && configuration.sockets.control == "/s/control.sock")
        #expect(configuration.spool.path == "/s/spool.db" && configuration.maildir.path == "/elsewhere")
    }

    @Test("the machine's name is asked only where the file names none, and can be said in EHLO")
    func hostname() throws {
        let named = try Configuration.parse("hostname = 'a.example'", file: "f", hostname: "unused")
        #expect(named.hostname == "a.example")
        let own = MachineName.domain()
        #expect(try Configuration.parse("hostname = '\(own)'", file: "f").hostname == own)
        #expect(try Configuration.parse("", file: "f").hostname == own)
    }
}
