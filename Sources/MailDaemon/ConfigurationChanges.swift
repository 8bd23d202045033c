// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import DNS
import MailMessage
import MailTransport

extension Configuration {
    /// What a reload changed, as dotted keys in the order of docs/configuration.md. `changed` takes effect at once;
    /// `restartNeeded` waits, because the sockets and the spool are open already.
    package func changes(from old: Configuration) -> (changed: [String], restartNeeded: [String]) {
        let before = Dictionary(old.entries, uniquingKeysWith: { first, _ in first })
        let after = Dictionary(entries, uniquingKeysWith: { first, _ in first })
        let gone = old.entries.map(\.0).filter { after[$0] == nil }
        let differing = entries.map(\.0).filter { before[$0] != after[$0] } + gone
        // A kind has its number, its metrics and its schema from the start on.
        let kinds = Kinds.others.filter { $0.isNamed(self) != $0.isNamed(old) }.map(\.type)
        let waits = { (key: String) in
            key.hasPrefix("sockets.") || Self.spoolPlaces.contains(key) || kinds.contains { key.hasPrefix("\($0).") }
        }
        return (differing.filter { !waits($0) }, differing.filter(waits))
    }

    /// Where the jobs are: opened once.
    private static let spoolPlaces = ["spool.path", "spool.database", "spool.schema", "spool.node"]

    /// Every key with its value as text, for comparing.
    private var entries: [(String, String)] {
        var entries = [
            ("hostname", hostname),
            ("workers", "\(workers)"),
            ("log_level", logLevel.rawValue),
            ("log_addresses", "\(logAddresses)"),
            ("default_relay", defaultRelay ?? ""),
            ("drain_seconds_max", "\(drainSecondsMax)"),
            ("sockets.submit", sockets.submit),
            ("sockets.control", sockets.control),
            ("sockets.metrics", sockets.metrics?.description ?? ""),
            ("spool.path", spool.path),
            ("spool.jobs_max", "\(spool.jobsMax)"),
            ("spool.bytes_max", "\(spool.bytesMax)"),
            ("spool.history_seconds", "\(spool.historySeconds)"),
            ("spool.history_jobs_max", "\(spool.historyJobsMax)"),
            ("spool.database", spool.database ?? ""),
            ("spool.schema", spool.schema),
            ("spool.node", spool.node),
        ]
        entries += limitEntries
        entries += [
            ("retry.first_seconds", "\(retry.firstSeconds)"),
            ("retry.wait_seconds_max", "\(retry.waitSecondsMax)"),
            ("retry.expiry_seconds", "\(retry.expirySeconds)"),
            ("metrics.worker_label", "\(metrics.workerLabel)"),
            ("maildir.path", maildir.path),
            ("dns.servers", dns.servers.map(\.description).joined(separator: " ")),
            ("dns.dnssec", dns.validation.rawValue),
            ("dns.trust_anchor", dns.trustAnchor ?? ""),
        ]
        entries += bounces.entries + queues.flatMap(\.entries) + apps.flatMap(\.entries)
        entries += routes.enumerated().map { ("route[\($0.offset + 1)]", "\($0.element)") }
        entries += kindEntries
        entries += dkim.enumerated().flatMap { $1.entries("dkim[\($0 + 1)]") }
        return entries + relays.flatMap(\.entries)
    }

    private var limitEntries: [(String, String)] {
        [
            ("limits.line_bytes_max", "\(limits.lineBytesMax)"),
            ("limits.reading_bytes_max", "\(limits.readingBytesMax)"),
            ("limits.connections_max", "\(limits.connectionsMax)"),
            ("limits.connections_per_user_max", "\(limits.connectionsPerUserMax)"),
            ("limits.unanswered_lines_max", "\(limits.unansweredLinesMax)"),
            ("limits.line_seconds_max", "\(limits.lineSecondsMax)"),
            ("limits.recipients_max", "\(limits.recipientsMax)"),
        ]
    }
}

extension DKIMSettings {
    /// A key that was exchanged shows as a change of what it comes from.
    fileprivate func entries(_ name: String) -> [(String, String)] {
        let entries = [
            ("\(name).domain", domain), ("\(name).selector", selector), ("\(name).subdomains", "\(coversSubdomains)"),
        ]
        return switch source {
        case .file(let path): entries + [("\(name).key_file", "\(path) \(key.record)")]
        case .credential(let credential): entries + [("\(name).key_credential", "\(credential) \(key.record)")]
        }
    }
}

extension QueueSettings {
    fileprivate var entries: [(String, String)] {
        [
            ("queue.\(name).weight", "\(weight)"),
            ("queue.\(name).concurrency_max", concurrencyMax.map { "\($0)" } ?? ""),
        ]
    }
}

extension RelaySettings {
    fileprivate var entries: [(String, String)] {
        [
            ("relay.\(name).host", host),
            ("relay.\(name).port", "\(port)"),
            ("relay.\(name).connections_max", "\(connectionsMax)"),
            ("relay.\(name).messages_per_connection_max", "\(messagesPerConnectionMax)"),
            ("relay.\(name).idle_seconds_max", "\(idleSecondsMax)"),
            ("relay.\(name).messages_per_second", messagesPerSecond.map { "\($0)" } ?? ""),
            ("relay.\(name).tls", tls.rawValue),
        ] + mxEntries + rarerEntries.compactMap { key, value in value.map { ("relay.\(name).\(key)", $0) } }
    }

    private var mxEntries: [(String, String)] {
        guard isMX else { return [] }
        return [
            ("relay.\(name).mx", "true"),
            ("relay.\(name).connections_per_domain_max", "\(connectionsPerDomainMax)"),
            ("relay.\(name).private_addresses", "\(allowsPrivate)"),
        ]
    }

    /// Only what the file says: most relays have none of it.
    private var rarerEntries: [(String, String?)] {
        var entries: [(String, String?)] = [
            ("socket", socket), ("protocol", mailProtocol == .smtp ? nil : mailProtocol.rawValue),
            ("ignore_extensions", ignoredExtensions.isEmpty ? nil : ignoredExtensions.joined(separator: " ")),
            ("tls_roots", tlsFiles.roots), ("tls_certificate", tlsFiles.certificate), ("tls_key", tlsFiles.key),
        ]
        guard let login else { return entries }
        entries += [("user", login.user)] + login.secret.entries + [("auth", login.mechanism?.key)]
        return entries
    }
}
