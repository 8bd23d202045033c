// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailDaemon
import Testing

@Suite("What a reload changes")
struct ConfigurationChangesTests {
    private func parse(_ text: String) throws -> Configuration {
        try Configuration.parse(text, file: "f", hostname: "h")
    }

    @Test("the same text changes nothing")
    func nothing() throws {
        let changes = try parse("workers = 3").changes(from: parse("# other\nworkers = 3"))
        #expect(changes.changed.isEmpty && changes.restartNeeded.isEmpty)
    }

    @Test(
        "each key is told by its name",
        arguments: [
            ("hostname = 'a.example'", "hostname"), ("workers = 3", "workers"), ("log_level = 'debug'", "log_level"),
            ("log_addresses = false", "log_addresses"),
            ("drain_seconds_max = 1", "drain_seconds_max"), ("[spool]\njobs_max = 1", "spool.jobs_max"),
            ("[spool]\nbytes_max = 1048576", "spool.bytes_max"),
            ("[spool]\nhistory_seconds = 1", "spool.history_seconds"),
            ("[spool]\nhistory_jobs_max = 1", "spool.history_jobs_max"),
            ("[limits]\nline_bytes_max = 1024", "limits.line_bytes_max"),
            ("[limits]\nreading_bytes_max = 50000000", "limits.reading_bytes_max"),
            ("[limits]\nconnections_max = 1", "limits.connections_max"),
            ("[limits]\nconnections_per_user_max = 1", "limits.connections_per_user_max"),
            ("[limits]\nunanswered_lines_max = 1", "limits.unanswered_lines_max"),
            ("[limits]\nline_seconds_max = 1", "limits.line_seconds_max"),
            ("[limits]\nrecipients_max = 1", "limits.recipients_max"),
            ("[retry]\nfirst_seconds = 1", "retry.first_seconds"),
            ("[retry]\nwait_seconds_max = 60", "retry.wait_seconds_max"),
            ("[retry]\nexpiry_seconds = 1", "retry.expiry_seconds"),
            ("[metrics]\nworker_label = false", "metrics.worker_label"), ("[maildir]\npath = '/m'", "maildir.path"),
        ])
    func changed(_ text: String, _ key: String) throws {
        let there = try parse(text).changes(from: parse(""))
        #expect(there.changed == [key] && there.restartNeeded.isEmpty)
        let back = try parse("").changes(from: parse(text))
        #expect(back.changed == [key] && back.restartNeeded.isEmpty)
    }

    @Test("sockets and the spool's path wait for a restart")
    func restart() throws {
        let text = "workers = 3\n[sockets]\nsubmit = '/a'\ncontrol = '/b'\nmetrics = ''\n[spool]\npath = '/c'\n"
        let changes = try parse(text).changes(from: parse(""))
        #expect(changes.changed == ["workers"])
        #expect(changes.restartNeeded == ["sockets.submit", "sockets.control", "sockets.metrics", "spool.path"])
    }

    @Test("relays come, change and go")
    func relays() throws {
        let one = try parse("[relay.a]\nhost = 'h'")
        let keys = [
            "host", "port", "connections_max", "messages_per_connection_max", "idle_seconds_max",
            "messages_per_second", "tls",
        ]
        let all = keys.map { "relay.a.\($0)" }
        #expect(try one.changes(from: parse("")).changed == all)
        #expect(try parse("").changes(from: one).changed == all)
        #expect(try parse("[relay.a]\nhost = 'h'\nport = 26").changes(from: one).changed == ["relay.a.port"])
        let two = try parse("default_relay = 'b'\n[relay.a]\nhost = 'h'\n[relay.b]\nhost = 'h'")
        #expect(two.changes(from: one).changed == ["default_relay"] + keys.map { "relay.b.\($0)" })
    }

    @Test("delivery by MX and its name servers are told by key")
    func mx() throws {
        let one = try parse("[relay.a]\nmx = true")
        let two = try parse("[relay.a]\nmx = true\nconnections_per_domain_max = 2\n[dns]\nservers = '192.0.2.53'")
        #expect(two.changes(from: one).changed == ["dns.servers", "relay.a.connections_per_domain_max"])
        let relay = try parse("[relay.a]\nhost = 'h'")
        #expect(one.changes(from: relay).changed.contains("relay.a.mx"))
        #expect(relay.changes(from: one).changed.contains("relay.a.mx"))
    }

    @Test("routes are told by their number in the file")
    func routes() throws {
        let text = "[relay.a]\nhost = 'h'\n[[route]]\nrelays = 'a'\nsender_domain = 'x.example'\n"
        let one = try parse(text)
        #expect(one.changes(from: try parse("[relay.a]\nhost = 'h'")).changed == ["route[1]"])
        let two = try parse(text + "[[route]]\nrelays = 'a'\n")
        #expect(two.changes(from: one).changed == ["route[2]"] && one.changes(from: two).changed == ["route[2]"])
        let other = try parse(text.replacing("x.example", with: "y.example"))
        #expect(other.changes(from: one).changed == ["route[1]"] && one.changes(from: one).changed == [])
    }

    @Test("what a relay's login and certificates are is told by key, a secret by where it is kept")
    func security() throws {
        let plain = try parse("[relay.a]\nhost = 'h'")
        let file = try parse("[relay.a]\nhost = 'h'\nuser = 'u'\npassword_file = '/p'\nauth = 'plain'")
        #expect(file.changes(from: plain).changed == ["user", "password_file", "auth"].map { "relay.a.\($0)" })
        let token = try parse("[relay.a]\nhost = 'h'\nuser = 'u'\ntoken_credential = 't'")
        let moved = ["token_credential", "password_file", "auth"].map { "relay.a.\($0)" }
        #expect(token.changes(from: file).changed == moved)
        let roots = try parse("[relay.a]\nhost = 'h'\ntls_roots = '/r'\ntls_certificate = '/c'\ntls_key = '/k'")
        let files = ["tls_roots", "tls_certificate", "tls_key"].map { "relay.a.\($0)" }
        #expect(roots.changes(from: plain).changed == files)
    }
}
