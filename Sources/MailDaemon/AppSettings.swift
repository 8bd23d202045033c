// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import Glibc
import MailConfiguration
import MailJob

/// Reads each `[app.NAME]`. Names of users and groups are looked up here, at the start and at each reload.
struct AppSettings {
    private let reader: ConfigurationReader
    /// Of the configuration, `default` included.
    private let queues: [String]

    init(_ reader: ConfigurationReader, queues: [String]) {
        self.reader = reader
        self.queues = queues
    }

    /// In the order of their names, which decides for whom groups of several are.
    func apps() throws(ConfigurationError) -> [App] {
        var apps: [App] = []
        for name in try (reader.names(in: ["app"]) ?? []).sorted() {
            let app = try app(name)
            for other in apps {
                try refuseShared(app.users.intersection(other.users), "user", app, other)
                try refuseShared(app.groups.intersection(other.groups), "group", app, other)
            }
            apps.append(app)
        }
        return apps
    }

    private func refuseShared(
        _ shared: Set<UInt32>, _ key: String, _ app: App, _ other: App
    ) throws(ConfigurationError) {
        guard let number = shared.min() else { return }
        throw reader.error(["app", app.name, key], "\(key) \(number) belongs to app \(other.name) already")
    }

    private func app(_ name: String) throws(ConfigurationError) -> App {
        let path = ["app", name]
        var app = App(name: name)
        app.users = Set(try reader.numbers(path + ["user"], wanted: "a user of this machine", Self.user) ?? [])
        app.groups = Set(try reader.numbers(path + ["group"], wanted: "a group of this machine", Self.group) ?? [])
        try checkMembers(app, path)
        let wanted = "app@example.org, @example.org or *.example.org"
        let senders = try reader.strings(path + ["senders"], wanted: wanted, mayBeEmpty: true) {
            SenderPattern($0) != nil
        }
        app.senders = senders?.compactMap { SenderPattern($0) }
        try reader.read(path + ["queue"], into: &app.queue, wanted: "the name of a [queue.NAME]") { name in
            queues.contains(name) ? .some(name) : nil
        }
        try reader.read(path + ["priority_max"], into: &app.priorityMax, 0...Limits.priorityMax)
        let ranges = Configuration.Ranges.self
        app.quota.jobsMax = try bound(path + ["jobs_max"], 0...ranges.billion)
        app.quota.bytesMax = try bound(path + ["bytes_max"], 0...ranges.spoolBytes.upperBound)
        app.quota.jobsPerMinute = try bound(path + ["jobs_per_minute"], 1...ranges.million)
        return app
    }

    private func checkMembers(_ app: App, _ path: [String]) throws(ConfigurationError) {
        let isOther = app.name == App.otherName
        for key in ["user", "group"] where isOther && reader.has(path + [key]) {
            throw reader.error(path + [key], "app other is whoever is no other app, and has no \(key) of its own")
        }
        guard !isOther, app.users.isEmpty, app.groups.isEmpty else { return }
        throw reader.error(path, "needs user or group: which users of this machine it is")
    }

    private func bound(_ path: [String], _ range: ClosedRange<Int>) throws(ConfigurationError) -> Int? {
        guard reader.has(path) else { return nil }
        var value = 0
        try reader.read(path, into: &value, range)
        return value
    }

    // MARK: Names

    private static func user(_ name: String) -> UInt32? { getpwnam(name)?.pointee.pw_uid }

    private static func group(_ name: String) -> UInt32? { getgrnam(name)?.pointee.gr_gid }
}

extension App {
    /// For comparing: what the file says, as it was understood.
    var entries: [(String, String)] {
        let entries: [(String, String?)] = [
            ("user", Self.list(users)), ("group", Self.list(groups)), ("senders", senders.map { "\($0)" }),
            ("queue", queue), ("priority_max", priorityMax == Limits.priorityMax ? nil : "\(priorityMax)"),
            ("jobs_max", quota.jobsMax.map { "\($0)" }), ("bytes_max", quota.bytesMax.map { "\($0)" }),
            ("jobs_per_minute", quota.jobsPerMinute.map { "\($0)" }),
        ]
        return entries.compactMap { key, value in value.map { ("app.\(name).\(key)", $0) } }
    }

    private static func list(_ numbers: Set<UInt32>) -> String? {
        numbers.isEmpty ? nil : numbers.sorted().map(String.init).joined(separator: " ")
    }
}
