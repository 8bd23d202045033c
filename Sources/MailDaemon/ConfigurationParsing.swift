// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailConfiguration

extension Configuration {
    /// Reads a file's text. `file` is what errors call it; `hostname` is asked only where the file names none.
    package static func parse(
        _ text: String, file: String, stateDirectory: String? = nil,
        hostname: @autoclosure () -> String = MachineName.domain()
    ) throws(ConfigurationError) -> Configuration {
        let reader = try ConfigurationReader(text, file: file)
        try reader.refuseUnknownKeys()
        let name = reader.has(["hostname"]) ? "" : hostname()
        var configuration = Configuration(hostname: name, stateDirectory: stateDirectory)
        try configuration.readTop(reader)
        try configuration.readSockets(reader, stateDirectory)
        try configuration.readSpool(reader)
        try configuration.readLimits(reader)
        try configuration.readRetry(reader)
        try configuration.bounces.read(reader)
        try reader.read(["metrics", "worker_label"], into: &configuration.metrics.workerLabel)
        try reader.readPath(["maildir", "path"], into: &configuration.maildir.path)
        try configuration.readRelays(reader)
        try configuration.readDNS(reader)
        try configuration.readDKIM(reader)
        try configuration.readKinds(reader)
        for name in try (reader.names(in: ["queue"]) ?? []).sorted() {
            configuration.queues.append(try QueueSettings(reader, name: name))
        }
        configuration.apps = try AppSettings(reader, queues: configuration.queueNames).apps()
        return configuration
    }

    private mutating func readTop(_ reader: ConfigurationReader) throws(ConfigurationError) {
        try reader.read(["hostname"], into: &hostname, wanted: "a domain name such as mail.example.com") {
            HostPort.isDomain($0) ? $0 : nil
        }
        try reader.read(["workers"], into: &workers, Ranges.workers)
        let levels = LogLevel.allCases.map(\.rawValue).joined(separator: ", ")
        try reader.read(["log_level"], into: &logLevel, wanted: "one of \(levels)") { LogLevel(rawValue: $0) }
        try reader.read(["log_addresses"], into: &logAddresses)
        try reader.read(["drain_seconds_max"], into: &drainSecondsMax, 0...Ranges.hour)
    }

    private mutating func readSockets(
        _ reader: ConfigurationReader, _ stateDirectory: String?
    ) throws(ConfigurationError) {
        try reader.readPath(["sockets", "submit"], into: &sockets.submit)
        try reader.readPath(["sockets", "control"], into: &sockets.control)
        for (name, path) in [("submit", sockets.submit), ("control", sockets.control)] {
            try reader.refuseLongSocket(name, path, stateDirectory)
        }
        guard sockets.submit != sockets.control else {
            throw reader.error(["sockets", "control"], "must not be the same as sockets.submit")
        }
        let wanted = "ADDRESS:PORT such as 127.0.0.1:9825 or [::1]:9825, or \"\" for none"
        try reader.read(["sockets", "metrics"], into: &sockets.metrics, wanted: wanted) {
            $0.isEmpty ? .some(nil) : HostPort($0).map(Optional.some)
        }
    }

    private mutating func readSpool(_ reader: ConfigurationReader) throws(ConfigurationError) {
        try reader.readPath(["spool", "path"], into: &spool.path)
        try reader.read(["spool", "jobs_max"], into: &spool.jobsMax, 1...Ranges.billion)
        try reader.read(["spool", "bytes_max"], into: &spool.bytesMax, Ranges.spoolBytes)
        try reader.read(["spool", "history_seconds"], into: &spool.historySeconds, 0...Ranges.year)
        try reader.read(["spool", "history_jobs_max"], into: &spool.historyJobsMax, 0...Ranges.billion)
        try reader.read(["spool", "free_bytes_min"], into: &spool.freeBytesMin, Ranges.freeBytes)
        try readFleet(reader)
    }

    private mutating func readFleet(_ reader: ConfigurationReader) throws(ConfigurationError) {
        let uri = "a URI such as postgresql://maild@db.example.org/maild, with passfile=PATH in place of a password"
        try reader.read(["spool", "database"], into: &spool.database, wanted: uri, mayBeSecret: true) { text in
            let isOfPostgreSQL = ["postgresql://", "postgres://"].contains { text.hasPrefix($0) }
            return isOfPostgreSQL && !Self.holdsPassword(text) ? .some(text) : nil
        }
        let name = "1 to 63 of a-z, 0-9 and _, with a letter first"
        try reader.read(["spool", "schema"], into: &spool.schema, wanted: name) { text in
            let isName = text.utf8.allSatisfy { (0x61...0x7A).contains($0) || (0x30...0x39).contains($0) || $0 == 0x5F }
            return isName && (1...63).contains(text.utf8.count) && text.first?.isLetter == true ? text : nil
        }
        try reader.read(["spool", "node"], into: &spool.node, wanted: "1 to 63 printable characters") { text in
            let isName = text.utf8.allSatisfy { (0x21...0x7E).contains($0) }
            return isName && (1...63).contains(text.utf8.count) ? text : nil
        }
        for key in ["schema", "node"] where spool.database == nil && reader.has(["spool", key]) {
            throw reader.error(["spool", key], "means nothing without spool.database")
        }
    }

    /// Whether a database's URI says a password itself, which whoever may read the file could then read.
    ///
    /// https://www.postgresql.org/docs/15/libpq-connect.html#LIBPQ-CONNSTRING: `//user:password@host…?name=value&…`,
    /// where names may be percent-encoded, too.
    private static func holdsPassword(_ uri: String) -> Bool {
        let parts = uri.split(separator: "?", maxSplits: 1, omittingEmptySubsequences: false)
        let authority = parts[0].drop { $0 != ":" }.dropFirst(3).prefix { $0 != "/" }
        if let at = authority.lastIndex(of: "@"), authority[..<at].contains(":") { return true }
        guard parts.count == 2 else { return false }
        return parts[1].split(separator: "&").contains { pair in
            let name = pair.prefix { $0 != "=" }
            return name.contains("%") || name == "password" || name == "sslpassword"
        }
    }

    private mutating func readLimits(_ reader: ConfigurationReader) throws(ConfigurationError) {
        let reading = ["limits", "reading_bytes_max"]
        try reader.read(["limits", "line_bytes_max"], into: &limits.lineBytesMax, Ranges.lineBytes)
        try reader.read(reading, into: &limits.readingBytesMax, Ranges.readingBytes)
        try reader.read(["limits", "connections_max"], into: &limits.connectionsMax, 1...Ranges.million)
        try reader.read(
            ["limits", "connections_per_user_max"], into: &limits.connectionsPerUserMax, 1...Ranges.million)
        try reader.read(["limits", "unanswered_lines_max"], into: &limits.unansweredLinesMax, 1...Ranges.million)
        try reader.read(["limits", "line_seconds_max"], into: &limits.lineSecondsMax, 0.1...Ranges.hour)
        try reader.read(["limits", "recipients_max"], into: &limits.recipientsMax, Ranges.recipients)
        guard limits.readingBytesMax >= limits.lineBytesMax else {
            let blamed = reader.has(reading) ? reading : ["limits", "line_bytes_max"]
            let sizes = "reading_bytes_max (\(limits.readingBytesMax)) and line_bytes_max (\(limits.lineBytesMax))"
            throw reader.error(blamed, "\(sizes): the longest line could never be read")
        }
    }

    private mutating func readRetry(_ reader: ConfigurationReader) throws(ConfigurationError) {
        let first = ["retry", "first_seconds"]
        let wait = ["retry", "wait_seconds_max"]
        try reader.read(first, into: &retry.firstSeconds, 0.01...Ranges.day)
        try reader.read(wait, into: &retry.waitSecondsMax, 0.01...Ranges.day)
        try reader.read(["retry", "expiry_seconds"], into: &retry.expirySeconds, 1...Ranges.year)
        guard retry.waitSecondsMax >= retry.firstSeconds else {
            let blamed = reader.has(wait) ? wait : first
            throw reader.error(blamed, "wait_seconds_max must not be below first_seconds")
        }
    }

    private mutating func readRelays(_ reader: ConfigurationReader) throws(ConfigurationError) {
        for name in try (reader.names(in: ["relay"]) ?? []).sorted() {
            relays.append(try RelaySettings(reader, name: name))
        }
        try reader.read(["default_relay"], into: &defaultRelay, wanted: "the name of a [relay.NAME]") { name in
            relays.contains { $0.name == name } ? .some(name) : nil
        }
        try readRoutes(reader)
        if relays.count > 1, defaultRelay == nil, !routes.contains(where: \.isDefault) {
            let names = relays.map(\.name).joined(separator: ", ")
            let which = routes.isEmpty ? "" : " that no route takes"
            let message = "must say which relay takes the mail\(which): one of \(names)"
            var problem = reader.error(["relay", relays[1].name], message)
            problem.key = "default_relay"
            throw problem
        }
    }

    private mutating func readDKIM(_ reader: ConfigurationReader) throws(ConfigurationError) {
        for path in try reader.tables(in: ["dkim"]) {
            let settings = try DKIMSettings(reader, path)
            guard !dkim.contains(where: { ($0.domain, $0.selector) == (settings.domain, settings.selector) }) else {
                // RFC 6376 §3.6.2.2: one name in DNS holds one key.
                throw reader.error(
                    path + ["selector"],
                    "\(settings.selector) of \(settings.domain) has a key already; each key has a selector of its own")
            }
            dkim.append(settings)
        }
    }
}

extension Configuration {
    private mutating func readRoutes(_ reader: ConfigurationReader) throws(ConfigurationError) {
        let names = relays.map(\.name)
        for path in try reader.tables(in: ["route"]) {
            let route = try RouteSettings(reader, path, relays: names)
            guard !route.isDefault || defaultRelay == nil else {
                throw reader.error(path, "has no condition, and default_relay is there too: one of them is the default")
            }
            guard !route.isDefault || !routes.contains(where: \.isDefault) else {
                throw reader.error(path, "is a second route without a condition: only one is the default")
            }
            routes.append(route)
        }
    }
}

extension RelaySettings {
    init(_ reader: ConfigurationReader, name: String) throws(ConfigurationError) {
        let path = ["relay", name]
        self.init(name: name, host: "")
        try readMX(reader, path)
        if !isMX { try readServer(reader, path) }
        try reader.read(path + ["connections_max"], into: &connectionsMax, Configuration.Ranges.relayConnections)
        try reader.read(
            path + ["messages_per_connection_max"], into: &messagesPerConnectionMax, 1...Configuration.Ranges.million)
        try reader.read(path + ["idle_seconds_max"], into: &idleSecondsMax, 0...Configuration.Ranges.hour)
        if reader.has(path + ["messages_per_second"]) {
            var rate = 0.0
            try reader.read(path + ["messages_per_second"], into: &rate, Configuration.Ranges.messagesPerSecond)
            messagesPerSecond = rate
        }
        try readTLS(reader, path)
        try readLogin(reader, path)
        try checkMX(reader, path)
    }
}
