// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

/// The names a configuration file may use.
enum ConfigurationKeys {
    /// Under `""` the keys before the first table; under `relay`, `queue` and `app` those of each `[relay.NAME]` and
    /// the like, under `route` and `dkim` those of each `[[route]]` and `[[dkim]]`, under `webhook.NAME` and
    /// `exec.NAME` those of the tables below.
    static let tables: [String: [String]] = [
        "": ["hostname", "workers", "log_level", "log_addresses", "default_relay", "drain_seconds_max"],
        "sockets": ["submit", "control", "metrics"],
        "spool": [
            "path", "jobs_max", "bytes_max", "history_seconds", "history_jobs_max", "database", "schema", "node",
        ],
        "limits": [
            "line_bytes_max", "reading_bytes_max", "connections_max", "connections_per_user_max",
            "unanswered_lines_max", "line_seconds_max", "recipients_max",
        ],
        "retry": ["first_seconds", "wait_seconds_max", "expiry_seconds"],
        "bounces": ["by_default", "from", "return"],
        "metrics": ["worker_label"],
        "maildir": ["path"],
        "dns": ["servers", "dnssec", "trust_anchor"],
        "relay": [
            "host", "port", "connections_max", "messages_per_connection_max", "idle_seconds_max", "messages_per_second",
            "tls", "tls_roots", "tls_certificate", "tls_key", "user", "password_file", "password_credential",
            "token_file", "token_credential", "auth", "protocol", "socket", "ignore_extensions", "oauth_token_url",
            "oauth_client_id",
            "oauth_client_secret_file", "oauth_client_secret_credential", "oauth_refresh_token_file",
            "oauth_refresh_token_credential", "oauth_key_file", "oauth_key_credential", "oauth_scope",
            "oauth_tls_roots", "mx", "connections_per_domain_max", "private_addresses",
        ],
        "route": ["sender_domain", "recipient_domain", "queue", "tag", "relays"],
        "webhook": ["allow_private", "connect_seconds_max", "seconds_max", "concurrency_max", "tls_roots"],
        "webhook.NAME": [
            "url", "url_file", "url_credential", "allow_private", "secret_file", "secret_credential", "signature",
            "authorization_file",
            "authorization_credential",
        ],
        "exec": ["concurrency_max"],
        "exec.NAME": ["command", "directory", "env", "seconds_max", "concurrency_max"],
        "noop": ["enabled"],
        "queue": ["weight", "concurrency_max"],
        "app": [
            "user", "group", "senders", "queue", "priority_max", "jobs_max", "bytes_max", "jobs_per_minute",
        ],
        "dkim": ["domain", "selector", "key_file", "key_credential", "subdomains"],
    ]

    static let sections = tables.keys.filter { !$0.isEmpty && !$0.contains(".") }.sorted()

    static func known(in table: String) -> [String] { tables[table] ?? [] }

    /// What the author of an unknown key probably meant, ready for a sentence; nil where nothing is near.
    static func suggestion(for name: String, in table: String) -> String? {
        if let near = nearest(to: name, among: known(in: table) + (table.isEmpty ? sections : [])) { return near }
        // A table that there is once is likelier meant than one of many.
        let many = ["relay", "queue", "app", "route", "dkim"]
        let elsewhere = tables.filter { $0.value.contains(name) }.keys.sorted()
        guard let other = elsewhere.first(where: { !many.contains($0) }) ?? elsewhere.first else { return nil }
        return switch other {
        case "": "\(name) before the first table"
        case "relay", "queue", "app": "\(name) in [\(other).NAME]"
        case "route", "dkim": "\(name) in [[\(other)]]"
        default: "\(name) in [\(other)]"
        }
    }

    /// At most two letters, or a third of them, may differ: `hots` is `host` with two that do.
    static func nearest(to name: String, among names: [String]) -> String? {
        let distances = names.map { (name: $0, distance: distance($0, name)) }
        guard let best = distances.min(by: { $0.distance < $1.distance }) else { return nil }
        return best.distance <= max(2, name.count / 3) && best.distance < name.count ? best.name : nil
    }

    /// Levenshtein's: letters to insert, delete or replace.
    private static func distance(_ left: String, _ right: String) -> Int {
        let right = Array(right)
        var row = Array(0...right.count)
        for (index, letter) in left.enumerated() {
            var diagonal = row[0]
            row[0] = index + 1
            for column in right.indices {
                let replaced = diagonal + (right[column] == letter ? 0 : 1)
                diagonal = row[column + 1]
                row[column + 1] = min(replaced, row[column] + 1, diagonal + 1)
            }
        }
        return row[right.count]
    }
}
