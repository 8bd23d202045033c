// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailConfiguration
import MailDaemon
import Testing

/// A text with a mistake, and where and how it must be complained of.
struct BadKey: CustomTestStringConvertible, Sendable {
    let text: String
    let line: Int
    let key: String
    /// A part of the message.
    let message: String

    init(_ text: String, _ line: Int, _ key: String, _ message: String) {
        self.text = text
        self.line = line
        self.key = key
        self.message = message
    }

    var testDescription: String { text.split(whereSeparator: \.isNewline).joined(separator: "; ") }
}

private let relay = "[relay.a]\nhost = 'h'\n"

private let wrongTypes: [BadKey] = [
    BadKey("hostname = 1", 1, "hostname", "must be a string, not an integer"),
    BadKey("\nworkers = '8'", 2, "workers", "must be an integer, not a string"),
    BadKey("workers = 8.0", 1, "workers", "must be an integer, not a floating-point number"),
    BadKey("log_addresses = 'no'", 1, "log_addresses", "must be true or false"),
    BadKey("log_level = true", 1, "log_level", "must be a string"),
    BadKey("default_relay = []", 1, "default_relay", "must be a string, not an array"),
    BadKey("drain_seconds_max = '20'", 1, "drain_seconds_max", "must be a number, not a string"),
    BadKey("sockets = 1", 1, "sockets", "must be a table, not an integer"),
    BadKey("[sockets]\nsubmit = 1", 2, "sockets.submit", "must be a string"),
    BadKey("[sockets]\ncontrol = 1", 2, "sockets.control", "must be a string"),
    BadKey("[sockets]\nmetrics = 9825", 2, "sockets.metrics", "must be a string"),
    BadKey("[spool]\npath = 1", 2, "spool.path", "must be a string"),
    BadKey("[spool]\njobs_max = '1'", 2, "spool.jobs_max", "must be an integer"),
    BadKey("[spool]\nbytes_max = 1e9", 2, "spool.bytes_max", "must be an integer"),
    BadKey("[spool]\nhistory_seconds = '1'", 2, "spool.history_seconds", "must be a number"),
    BadKey("[spool]\nhistory_jobs_max = 1.5", 2, "spool.history_jobs_max", "must be an integer"),
    BadKey("[spool]\ndatabase = 'mysql://h/d'", 2, "spool.database", "must be a URI such as postgresql://"),
    BadKey("[spool]\ndatabase = 'postgresql://u:p@h/d'", 2, "spool.database", "in place of a password"),
    BadKey("[spool]\ndatabase = 'postgresql://h/d?password=p'", 2, "spool.database", "in place of a password"),
    BadKey("[spool]\ndatabase = 'postgresql://h/d?p%61ssword=p'", 2, "spool.database", "in place of a password"),
    BadKey("[spool]\nnode = 'a'", 2, "spool.node", "means nothing without spool.database"),
    BadKey("[spool]\ndatabase = 'postgresql://h'\nschema = 'A'", 3, "spool.schema", "must be 1 to 63 of a-z"),
    BadKey("[spool]\ndatabase = 'postgresql://h'\nnode = 'a b'", 3, "spool.node", "must be 1 to 63 printable"),
    BadKey("[limits]\nline_bytes_max = '1k'", 2, "limits.line_bytes_max", "must be an integer"),
    BadKey("[limits]\nreading_bytes_max = '1k'", 2, "limits.reading_bytes_max", "must be an integer"),
    BadKey("[limits]\nconnections_max = '1'", 2, "limits.connections_max", "must be an integer"),
    BadKey("[limits]\nconnections_per_user_max = '1'", 2, "limits.connections_per_user_max", "must be an integer"),
    BadKey("[limits]\nunanswered_lines_max = '1'", 2, "limits.unanswered_lines_max", "must be an integer"),
    BadKey("[limits]\nline_seconds_max = '1'", 2, "limits.line_seconds_max", "must be a number"),
    BadKey("[limits]\nrecipients_max = '1'", 2, "limits.recipients_max", "must be an integer"),
    BadKey("[retry]\nfirst_seconds = '1'", 2, "retry.first_seconds", "must be a number"),
    BadKey("[retry]\nwait_seconds_max = 10:00:00", 2, "retry.wait_seconds_max", "must be a number, not a time"),
    BadKey("[retry]\nexpiry_seconds = '5d'", 2, "retry.expiry_seconds", "must be a number"),
    BadKey("[bounces]\nby_default = 'yes'", 2, "bounces.by_default", "must be true or false, not a string"),
    BadKey("[bounces]\nfrom = 'nobody'", 2, "bounces.from", "must be an address such as postmaster@example.org"),
    BadKey("[bounces]\nreturn = true", 2, "bounces.return", "must be a string"),
    BadKey("[bounces]\nreturn = 'all'", 2, "bounces.return", "must be \"headers\" or \"full\", not \"all\""),
    BadKey("[metrics]\nworker_label = 1", 2, "metrics.worker_label", "must be true or false, not an integer"),
    BadKey("[maildir]\npath = 1", 2, "maildir.path", "must be a string"),
    BadKey("[relay.a]\nmx = 1", 2, "relay.a.mx", "must be true or false"),
    BadKey("[dns]\nservers = 1", 2, "dns.servers", "must be a string or a list of strings"),
    BadKey("relay = 'a'", 1, "relay", "must be a table, not a string"),
    BadKey("[dkim]\ndomain = 'a.b'", 1, "dkim", "must be tables in double brackets: [[dkim]]"),
    BadKey("dkim = ['a.b']", 1, "dkim", "must be tables in double brackets: [[dkim]]"),
    BadKey("[[dkim]]\ndomain = 1", 2, "dkim[1].domain", "must be a string, not an integer"),
    BadKey("[[dkim]]\ndomain = 'a.b'\nselector = 1", 3, "dkim[1].selector", "must be a string"),
    BadKey("[[dkim]]\ndomain = 'a.b'\nselector = 's'\nkey_file = 1", 4, "dkim[1].key_file", "must be a string"),
    BadKey("relay.a = 'b'", 1, "relay.a", "must be a table, not a string"),
    BadKey("[relay.a]\nhost = 1", 2, "relay.a.host", "must be a string"),
    BadKey("[relay.a]\nhost = 'h'\nport = '25'", 3, "relay.a.port", "must be an integer"),
    BadKey("[relay.a]\nhost = 'h'\nconnections_max = '1'", 3, "relay.a.connections_max", "must be an integer"),
    BadKey(
        "[relay.a]\nhost = 'h'\nmessages_per_connection_max = '1'", 3, "relay.a.messages_per_connection_max",
        "must be an integer"),
    BadKey("[relay.a]\nhost = 'h'\nidle_seconds_max = '1'", 3, "relay.a.idle_seconds_max", "must be a number"),
    BadKey("[relay.a]\nhost = 'h'\ntls = 1", 3, "relay.a.tls", "must be a string"),
    BadKey("[relay.a]\nhost = 'h'\ntls_roots = 1", 3, "relay.a.tls_roots", "must be a string"),
    BadKey("[relay.a]\nhost = 'h'\ntls_certificate = 1", 3, "relay.a.tls_certificate", "must be a string"),
    BadKey("[relay.a]\nhost = 'h'\ntls_key = 1", 3, "relay.a.tls_key", "must be a string"),
    BadKey("[relay.a]\nhost = 'h'\nuser = 1", 3, "relay.a.user", "must be a string"),
    BadKey("[relay.a]\nhost = 'h'\nuser = 'u'\npassword_file = 1", 4, "relay.a.password_file", "must be a string"),
    BadKey(
        "[relay.a]\nhost = 'h'\nuser = 'u'\npassword_credential = 1", 4, "relay.a.password_credential",
        "must be a string"),
    BadKey("[relay.a]\nhost = 'h'\nuser = 'u'\ntoken_file = 1", 4, "relay.a.token_file", "must be a string"),
    BadKey(
        "[relay.a]\nhost = 'h'\nuser = 'u'\ntoken_credential = 1", 4, "relay.a.token_credential",
        "must be a string"),
    BadKey("[relay.a]\nhost = 'h'\nuser = 'u'\npassword_file = '/p'\nauth = 1", 5, "relay.a.auth", "must be a string"),
]

private let impossibleValues: [BadKey] = [
    BadKey("hostname = 'a b'", 1, "hostname", "must be a domain name such as mail.example.com, not \"a b\""),
    BadKey("hostname = ''", 1, "hostname", "must be a domain name"),
    BadKey("hostname = 'a..b'", 1, "hostname", "must be a domain name"),
    BadKey("hostname = '-a.example'", 1, "hostname", "must be a domain name"),
    BadKey("workers = 0", 1, "workers", "must be from 1 to 1024, not 0"),
    BadKey("workers = 1025", 1, "workers", "must be from 1 to 1024, not 1025"),
    BadKey("workers = -1", 1, "workers", "must be from 1 to 1024, not -1"),
    BadKey("log_level = 'INFO'", 1, "log_level", "must be one of error, warning, notice, info, debug, not \"INFO\""),
    BadKey("drain_seconds_max = -0.5", 1, "drain_seconds_max", "must be from 0 to 3600, not -0.5"),
    BadKey("drain_seconds_max = nan", 1, "drain_seconds_max", "must be from 0 to 3600"),
    BadKey("drain_seconds_max = inf", 1, "drain_seconds_max", "must be from 0 to 3600"),
    BadKey("[sockets]\nsubmit = 'run/s'", 2, "sockets.submit", "must be an absolute path, not \"run/s\""),
    BadKey("[sockets]\ncontrol = ''", 2, "sockets.control", "must be an absolute path"),
    BadKey("[sockets]\nsubmit = '/a'\ncontrol = '/a'", 3, "sockets.control", "must not be the same"),
    BadKey(
        "[sockets]\nsubmit = '/\(String(repeating: "a", count: 107))'", 2, "sockets.submit",
        "has 108 bytes; a socket's path has at most 107"),
    BadKey("[sockets]\nmetrics = '127.0.0.1'", 2, "sockets.metrics", "must be ADDRESS:PORT"),
    BadKey("[sockets]\nmetrics = ':9825'", 2, "sockets.metrics", "must be ADDRESS:PORT"),
    BadKey("[sockets]\nmetrics = '127.0.0.1:0'", 2, "sockets.metrics", "must be ADDRESS:PORT"),
    BadKey("[sockets]\nmetrics = '127.0.0.1:65536'", 2, "sockets.metrics", "must be ADDRESS:PORT"),
    BadKey("[sockets]\nmetrics = '::1:9825'", 2, "sockets.metrics", "must be ADDRESS:PORT"),
    BadKey("[sockets]\nmetrics = '127.0.0.1:+80'", 2, "sockets.metrics", "must be ADDRESS:PORT"),
    BadKey("[spool]\npath = 'spool.db'", 2, "spool.path", "must be an absolute path"),
    BadKey("[spool]\njobs_max = 0", 2, "spool.jobs_max", "must be from 1 to 1000000000, not 0"),
    BadKey("[spool]\nbytes_max = 1000", 2, "spool.bytes_max", "must be from 1048576"),
    BadKey("[spool]\nhistory_seconds = -1", 2, "spool.history_seconds", "must be from 0 to 31536000, not -1"),
    BadKey("[spool]\nhistory_jobs_max = -1", 2, "spool.history_jobs_max", "must be from 0"),
    BadKey("[limits]\nline_bytes_max = 100", 2, "limits.line_bytes_max", "must be from 1024 to 1073741824, not 100"),
    BadKey("[limits]\nreading_bytes_max = 100", 2, "limits.reading_bytes_max", "must be from 1024"),
    BadKey("[limits]\nreading_bytes_max = 1024", 2, "limits.reading_bytes_max", "the longest line could never be read"),
    BadKey("[limits]\nline_bytes_max = 268435457", 2, "limits.line_bytes_max", "the longest line could never be read"),
    BadKey("[limits]\nconnections_max = 0", 2, "limits.connections_max", "must be from 1 to 1000000"),
    BadKey("[limits]\nconnections_per_user_max = 0", 2, "limits.connections_per_user_max", "must be from 1"),
    BadKey("[limits]\nunanswered_lines_max = 0", 2, "limits.unanswered_lines_max", "must be from 1"),
    BadKey("[limits]\nline_seconds_max = 0", 2, "limits.line_seconds_max", "must be from 0.1 to 3600, not 0"),
    BadKey("[limits]\nrecipients_max = 0", 2, "limits.recipients_max", "must be from 1 to 100000, not 0"),
    BadKey("[retry]\nfirst_seconds = 0", 2, "retry.first_seconds", "must be from 0.01 to 86400, not 0"),
    BadKey("[retry]\nwait_seconds_max = 10", 2, "retry.wait_seconds_max", "must not be below first_seconds"),
    BadKey("[retry]\nfirst_seconds = 7200", 2, "retry.first_seconds", "must not be below first_seconds"),
    BadKey("[retry]\nexpiry_seconds = 0", 2, "retry.expiry_seconds", "must be from 1 to 31536000, not 0"),
    BadKey("[maildir]\npath = '~/mail'", 2, "maildir.path", "must be an absolute path"),
    BadKey("default_relay = 'b'\n[relay.a]\nhost = 'h'", 1, "default_relay", "must be the name of a [relay.NAME]"),
    BadKey("[relay.a]\nhost = 'h'\n[relay.b]\nhost = 'h'", 3, "default_relay", "one of a, b"),
    BadKey("[relay.a]\nhost = 'h'\nmx = true", 2, "relay.a.host", "is of no use with mx = true"),
    BadKey("[relay.a]\nmx = true\nuser = 'u'", 3, "relay.a.user", "is of no use with mx = true"),
    BadKey("[relay.a]\nmx = true\nsocket = '/s'", 3, "relay.a.socket", "is of no use with mx = true"),
    BadKey("[relay.a]\nmx = true\ntls = 'implicit'", 3, "relay.a.tls", "STARTTLS alone"),
    BadKey("[relay.a]\nmx = true\nidle_seconds_max = 5", 3, "relay.a.idle_seconds_max", "must be 20 at least"),
    BadKey(
        "[relay.a]\nmx = true\nconnections_max = 2", 3, "relay.a.connections_max",
        "must not be below connections_per_domain_max"),
    BadKey(
        "[relay.a]\nmx = true\nconnections_per_domain_max = 0", 3, "relay.a.connections_per_domain_max",
        "must be from 1 to 1024"),
    BadKey(
        "[relay.a]\nhost = 'h'\nconnections_per_domain_max = 2", 3, "relay.a.connections_per_domain_max",
        "is of use with mx = true alone"),
    BadKey("[relay.a]\nhost = 'h'\nprivate_addresses = true", 3, "relay.a.private_addresses", "mx = true alone"),
    BadKey("[dns]\nservers = ['ns.example']", 2, "dns.servers", "must be an IP address"),
    BadKey("[dns]\nservers = []", 2, "dns.servers", "must not be empty"),
    BadKey("[dns]\ndnssec = 'yes'", 2, "dns.dnssec", "must be one of auto, required, off"),
    BadKey("[dns]\ntrust_anchor = 'a'", 2, "dns.trust_anchor", "must be an absolute path"),
    BadKey("[dns]\ndnssec = 'off'\ntrust_anchor = '/a'", 3, "dns.trust_anchor", "is of no use"),
    BadKey("[dns]\nserver = '192.0.2.1'", 2, "dns.server", "did you mean servers?"),
    BadKey("workers = 2\n[relay.a]\nport = 25", 2, "relay.a.host", "is missing, and socket too"),
    BadKey(
        "[relay.a]\nhost = 'h'\nsocket = '/s'", 2, "relay.a.host", "is of no use with socket, which leads to a server"),
    BadKey("[relay.a]\nsocket = '/s'\nport = 24", 3, "relay.a.port", "is of no use with socket"),
    BadKey("[relay.a]\nsocket = '/s'\ntls = 'required'", 3, "relay.a.tls", "is of no use with socket"),
    BadKey("[relay.a]\nsocket = 's'", 2, "relay.a.socket", "must be an absolute path, not \"s\""),
    BadKey(
        "[relay.a]\nsocket = '/\(String(repeating: "s", count: 107))'", 2, "relay.a.socket",
        "has 108 bytes; a socket's path has at most 107"),
    BadKey("[relay.a]\nhost = 'h'\nprotocol = 'uucp'", 3, "relay.a.protocol", "must be smtp or lmtp, not \"uucp\""),
    BadKey(
        "[relay.a]\nhost = 'h'\nprotocol = 'lmtp'\nport = 25", 4, "relay.a.port",
        "25 is SMTP's port, on which no LMTP may be spoken"),
    BadKey(
        "[relay.a]\nhost = 'h'\nignore_extensions = ['chunking', 'starttls']", 3, "relay.a.ignore_extensions",
        "must be one of pipelining, chunking, size, 8bitmime, smtputf8, dsn, not \"starttls\""),
    BadKey("[relay.a]\nhost = ''", 2, "relay.a.host", "must be a domain name or an IP address"),
    BadKey("[relay.a]\nhost = '1.2.3'", 2, "relay.a.host", "must be a domain name or an IP address"),
    BadKey("[relay.a]\nhost = 'h:25'", 2, "relay.a.host", "must be a domain name or an IP address"),
    BadKey("[relay.a]\nhost = 'h'\nport = 0", 3, "relay.a.port", "must be from 1 to 65535, not 0"),
    BadKey("[relay.a]\nhost = 'h'\nport = 65536", 3, "relay.a.port", "must be from 1 to 65535, not 65536"),
    BadKey("[relay.a]\nhost = 'h'\nconnections_max = 0", 3, "relay.a.connections_max", "must be from 1 to 1024"),
    BadKey(
        "[relay.a]\nhost = 'h'\nmessages_per_connection_max = 0", 3, "relay.a.messages_per_connection_max",
        "must be from 1"),
    BadKey("[relay.a]\nhost = 'h'\nidle_seconds_max = -1", 3, "relay.a.idle_seconds_max", "must be from 0 to 3600"),
    BadKey("[relay.a]\nhost = 'h'\nmessages_per_second = 0", 3, "relay.a.messages_per_second", "must be from 0.001"),
    BadKey("\(relay)[[route]]\nsender_domain = 'x'", 3, "route[1].relays", "is missing"),
    BadKey("\(relay)[[route]]\nrelays = []", 4, "route[1].relays", "must not be empty"),
    BadKey("\(relay)[[route]]\nrelays = ['a', 'a']", 4, "route[1].relays", "names a relay twice"),
    BadKey("\(relay)[[route]]\nrelays = ['a', 'b']", 4, "route[1].relays", "the name of a [relay.NAME], not \"b\""),
    BadKey("\(relay)[[route]]\nrelays = [1]", 4, "route[1].relays", "must be a string or a list of strings"),
    BadKey(
        "\(relay)[[route]]\nrelays = 'a'\n\n[[route]]\nrelays = 'a'\nsender_domain = ['x.example', 'x@y']", 8,
        "route[2].sender_domain", "must be a domain such as example.com or *.example.com, not \"x@y\""),
    BadKey(
        "\(relay)[[route]]\nrelays = 'a'\nrecipient_domain = '*'", 5, "route[1].recipient_domain", "must be a domain"),
    BadKey("\(relay)[[route]]\nrelays = 'a'\n[[route]]\nrelays = 'a'", 5, "route[2]", "only one is the default"),
    BadKey("default_relay = 'a'\n\(relay)[[route]]\nrelays = 'a'", 4, "route[1]", "default_relay is there too"),
    BadKey("\(relay)[route]\nrelays = 'a'", 3, "route", "must be tables in double brackets: [[route]]"),
    BadKey("route = [1]\n\(relay)", 1, "route", "must be tables in double brackets"),
    BadKey(
        "\(relay)[relay.b]\nhost = 'h'\n[[route]]\nsender_domain = 'x'\nrelays = 'a'", 3, "default_relay",
        "that no route takes: one of a, b"),
    BadKey("[relay.'a b']\nhost = 'h'", 1, "relay.a b", "a relay's name has"),
    BadKey("[relay.'']\nhost = 'h'", 1, "relay.", "a relay's name has"),
    BadKey("workers = 1\n[[dkim]]\nselector = 's'", 2, "dkim[1].domain", "is missing"),
    BadKey("[[dkim]]\ndomain = 'a.b'", 1, "dkim[1].selector", "is missing"),
    BadKey("[[dkim]]\ndomain = 'a b'", 2, "dkim[1].domain", "must be a domain name such as example.org, not \"a b\""),
    BadKey("workers = 1\ndkim = [{ domain = 'a b' }]", 2, "dkim[1].domain", "must be a domain name"),
    BadKey("[[dkim]]\ndomain = '☃.b'", 2, "dkim[1].domain", "must be a domain name"),
    BadKey("[[dkim]]\ndomain = 'a.b'\nselector = 's_1'", 3, "dkim[1].selector", "must be letters, digits, hyphens"),
    BadKey("[[dkim]]\ndomain = 'a.b'\nselector = 's'", 1, "dkim[1].key_file", "is missing, and key_credential too"),
    BadKey(
        "[[dkim]]\ndomain = 'a.b'\nselector = 's'\nkey_file = '/k'\nkey_credential = 'k'", 5, "dkim[1].key_credential",
        "excludes key_file"),
    BadKey(
        "[[dkim]]\ndomain = 'a.b'\nselector = 's'\nkey_file = 'k'", 4, "dkim[1].key_file", "must be an absolute path"),
    BadKey(
        "[[dkim]]\ndomain = 'a.b'\nselector = 's'\nkey_file = '/'", 4, "dkim[1].key_file", "/ is no plain file"),
    BadKey(
        "[[dkim]]\ndomain = 'a.b'\nselector = 's'\nkey_credential = '../k'", 4, "dkim[1].key_credential",
        "must be the name of a systemd credential, without a slash, not \"../k\""),
    BadKey(
        "[[dkim]]\ndomain = 'a.b'\nselector = 's'\nkey_credential = 'k'", 4, "dkim[1].key_credential",
        "there is no credential k"),
    BadKey(
        "[relay.a]\nhost = 'h'\ntls = 'yes'", 3, "relay.a.tls",
        "must be one of required, opportunistic, off, implicit, not \"yes\""),
    BadKey("[relay.a]\nhost = 'h'\ntls_roots = 'ca.pem'", 3, "relay.a.tls_roots", "must be an absolute path"),
    BadKey(
        "[relay.a]\nhost = 'h'\ntls = 'off'\ntls_roots = '/f'", 4, "relay.a.tls_roots",
        "is of no use with tls = \"off\""),
    BadKey(
        "[relay.a]\nhost = 'h'\ntls_certificate = 'ca.pem'", 3, "relay.a.tls_certificate",
        "must be an absolute path"),
    BadKey(
        "[relay.a]\nhost = 'h'\ntls = 'off'\ntls_certificate = '/f'", 4, "relay.a.tls_certificate",
        "is of no use with tls = \"off\""),
    BadKey("[relay.a]\nhost = 'h'\ntls_key = 'ca.pem'", 3, "relay.a.tls_key", "must be an absolute path"),
    BadKey(
        "[relay.a]\nhost = 'h'\ntls = 'off'\ntls_key = '/f'", 4, "relay.a.tls_key",
        "is of no use with tls = \"off\""),
    BadKey(
        "[relay.a]\nhost = 'h'\ntls = 'opportunistic'\ntls_roots = '/f'", 4, "relay.a.tls_roots",
        "which verifies no certificate"),
    BadKey("[relay.a]\nhost = 'h'\ntls_certificate = '/f'", 3, "relay.a.tls_certificate", "needs tls_key as well"),
    BadKey("[relay.a]\nhost = 'h'\ntls_key = '/f'", 3, "relay.a.tls_key", "needs tls_certificate as well"),
    BadKey("[relay.a]\nhost = 'h'\nuser = ''", 3, "relay.a.user", "must be a name without control characters"),
    BadKey(
        "[relay.a]\nhost = 'h'\nuser = 'u'", 3, "relay.a.user",
        "needs one of password_file, password_credential, token_file"),
    BadKey("[relay.a]\nhost = 'h'\nauth = 'plain'", 3, "relay.a.auth", "needs one of password_file"),
    BadKey("[relay.a]\nhost = 'h'\npassword_file = '/p'", 3, "relay.a.password_file", "needs user as well"),
    BadKey(
        "[relay.a]\nhost = 'h'\nuser = 'u'\npassword_file = 'p'", 4, "relay.a.password_file",
        "must be an absolute path"),
    BadKey("[relay.a]\nhost = 'h'\nuser = 'u'\ntoken_file = 'p'", 4, "relay.a.token_file", "must be an absolute path"),
    BadKey(
        "[relay.a]\nhost = 'h'\nuser = 'u'\npassword_credential = 'a/b'", 4, "relay.a.password_credential",
        "without a slash"),
    BadKey(
        "[relay.a]\nhost = 'h'\nuser = 'u'\ntoken_credential = '..'", 4, "relay.a.token_credential",
        "the name of a systemd credential"),
    BadKey(
        "[relay.a]\nhost = 'h'\nuser = 'u'\npassword_file = '/p'\ntoken_file = '/t'", 5, "relay.a.token_file",
        "only one of password_file"),
    BadKey(
        "[relay.a]\nhost = 'h'\nuser = 'u'\npassword_file = '/p'\nauth = 'xoauth2'", 5, "relay.a.auth",
        "must be one of scram-sha-256, cram-md5, plain, login"),
    BadKey(
        "[relay.a]\nhost = 'h'\nuser = 'u'\ntoken_file = '/t'\nauth = 'plain'", 5, "relay.a.auth",
        "must be one of oauthbearer, xoauth2, not \"plain\""),
    BadKey(
        "[relay.a]\nhost = 'h'\ntls = 'off'\nuser = 'u'\npassword_file = '/p'", 3, "relay.a.tls",
        "a login needs tls = \"required\" or \"implicit\""),
    BadKey(
        "[relay.a]\nhost = 'h'\ntls = 'opportunistic'\nuser = 'u'\ntoken_file = '/p'", 3, "relay.a.tls",
        "a login needs tls"),
    BadKey(
        "[relay.a]\nhost = 'h'\npassword = 'x'", 3, "relay.a.password",
        "no secret stands in this file, which others may read: use password_file"),
    BadKey("[relay.a]\nhost = 'h'\ntoken = 'x'", 3, "relay.a.token", "use token_file (a path) or token_credential"),
]

private let unknownKeys: [BadKey] = [
    BadKey("wokers = 8", 1, "wokers", "is unknown; did you mean workers?"),
    BadKey("[spol]\npath = '/a'", 1, "spol", "is unknown; did you mean spool?"),
    BadKey("[spool]\n\njob_max = 8", 3, "spool.job_max", "is unknown; did you mean jobs_max?"),
    BadKey("jobs_max = 8", 1, "jobs_max", "is unknown; did you mean jobs_max in [spool]?"),
    BadKey("[retry]\nport = 8", 2, "retry.port", "is unknown; did you mean port in [relay.NAME]?"),
    BadKey("[sockets]\nhostname = 'h'", 2, "sockets.hostname", "did you mean hostname before the first table?"),
    BadKey("colour = 'red'", 1, "colour", "is unknown"),
    BadKey("[relay.a]\nhots = 'h'", 2, "relay.a.hots", "is unknown; did you mean host?"),
    BadKey("\(relay)[[route]]\nsender = 'h'\nrelays = 'a'", 4, "route[1].sender", "is unknown"),
    BadKey("\(relay)[[route]]\nrelay = 'a'", 4, "route[1].relay", "is unknown; did you mean relays?"),
    BadKey("[retry]\nsender_domain = 'x'", 2, "retry.sender_domain", "did you mean sender_domain in [[route]]?"),
    BadKey("workers = 'x'\n[limits]\nlines = 1", 3, "limits.lines", "is unknown"),
    BadKey("sockets = { submt = '/a' }", 1, "sockets.submt", "is unknown; did you mean submit?"),
    BadKey("sockets.submt = '/a'", 1, "sockets.submt", "is unknown; did you mean submit?"),
    BadKey("[[dkim]]\n[[dkim]]\nselctor = 's'", 3, "dkim[2].selctor", "is unknown; did you mean selector?"),
    BadKey("selector = 's'", 1, "selector", "is unknown; did you mean selector in [[dkim]]?"),
]

private let syntax: [BadKey] = [
    BadKey("workers = 8\nworkers = 9", 2, "", "workers"),
    BadKey("workers = \n", 1, "", ""),
    BadKey("workers = 1\n[spool", 2, "", ""),
    BadKey("hostname = 'a\nb'", 1, "", ""),
    BadKey("relay = 'a'\n[relay.a]\nhost = 'h'", 2, "", "relay"),
    BadKey("[spool]\n[retry]\n[spool]\njobs_max = 1", 3, "", "spool"),
    BadKey("workers = 1\0", 0, "", "contains a NUL"),
]

@Suite("A bad configuration")
struct BadConfigurationTests {
    @Test("a wrong type names file, line and key", arguments: wrongTypes)
    func wrongType(_ bad: BadKey) { expect(bad) }

    @Test("an impossible value names file, line and key", arguments: impossibleValues)
    func impossible(_ bad: BadKey) { expect(bad) }

    @Test(
        "an unknown key is refused before any value is looked at, and the nearest known one is named",
        arguments: unknownKeys)
    func unknown(_ bad: BadKey) { expect(bad) }

    @Test("an error of syntax names file and line", arguments: syntax)
    func syntaxError(_ bad: BadKey) { expect(bad) }

    @Test("a password in a database's URI is not quoted in the complaint", arguments: ["postgresql", "postgres", "pg"])
    func passwordInURI(scheme: String) {
        let error = #expect(throws: ConfigurationError.self) {
            try Configuration.parse("[spool]\ndatabase = '\(scheme)://u:hunter2@h/d'", file: "f")
        }
        #expect(error?.key == "spool.database")
        #expect(error?.description.contains("hunter2") == false)
    }

    @Test("a state directory too deep for a socket is its own fault")
    func deepStateDirectory() {
        let directory = "/" + String(repeating: "d", count: 100)
        let error = #expect(throws: ConfigurationError.self) {
            try Configuration.parse("", file: "f", stateDirectory: directory, hostname: "h")
        }
        #expect(error?.file == "--state")
        #expect(error?.message.contains("a socket's path has at most 107") == true)
    }

    @Test("the description reads FILE:LINE: key: message, without what is not known")
    func description() {
        let whole = ConfigurationError(file: "/f", line: 3, key: "a.b", message: "is bad")
        #expect("\(whole)" == "/f:3: a.b: is bad")
        #expect("\(ConfigurationError(file: "/f", line: 3, message: "is bad"))" == "/f:3: is bad")
        #expect("\(ConfigurationError(file: "/f", message: "is bad"))" == "/f: is bad")
    }

    private func expect(_ bad: BadKey) {
        let error = #expect(throws: ConfigurationError.self) {
            try Configuration.parse(bad.text, file: "/etc/f.toml", hostname: "h")
        }
        #expect(error?.file == "/etc/f.toml")
        #expect(error?.line == bad.line)
        #expect(error?.key == bad.key)
        let message = error?.message ?? ""
        #expect(bad.message.isEmpty || message.contains(bad.message), "\(message)")
    }
}
