// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailConfiguration
import MailTransport

/// One `[[route]]`: which relays take which mail.
package struct RouteSettings: Equatable, Sendable {
    /// `example.com`, or `*.example.com` for all below it; empty: any sender.
    package var senderDomains: [String] = []
    /// The same for the recipient; empty: any.
    package var recipientDomains: [String] = []
    /// Queues of jobs; empty: any.
    package var queues: [String] = []
    /// One of these a job must have; empty: any job.
    package var tags: [String] = []
    /// Names of relays in fail-over order, at least one.
    package var relays: [String] = []

    package init() {}

    /// It takes what no other route takes, wherever it stands.
    package var isDefault: Bool { conditions.allSatisfy(\.isEmpty) }

    private var conditions: [[String]] { [senderDomains, recipientDomains, queues, tags] }
}

extension Configuration {
    /// Relays for mail that no route takes, in fail-over order; empty where there is no relay at all.
    package var defaultRelays: [String] {
        if let defaultRelay { return [defaultRelay] }
        return routes.first { $0.isDefault }?.relays ?? relays.first.map { [$0.name] } ?? []
    }

    /// Those that some mail may take, in the order of their names.
    var usedRelays: [RelaySettings] {
        let names = Set(routes.flatMap(\.relays) + defaultRelays)
        return relays.filter { names.contains($0.name) }
    }

    /// Its numbers are indices into `usedRelays`.
    var routeTable: RouteTable {
        let used = usedRelays
        let numbers = { (names: [String]) in names.compactMap { name in used.firstIndex { $0.name == name } } }
        let table = routes.filter { !$0.isDefault }.map { route in
            RouteTable.Route(
                senders: route.senderDomains.isEmpty ? nil : DomainSet(route.senderDomains),
                recipients: route.recipientDomains.isEmpty ? nil : DomainSet(route.recipientDomains),
                queues: route.queues.isEmpty ? nil : Set(route.queues),
                tags: route.tags.isEmpty ? nil : Set(route.tags),
                relays: numbers(route.relays))
        }
        return RouteTable(routes: table, fallback: numbers(defaultRelays))
    }
}

extension RouteSettings {
    /// - Parameter path: `route` and the number of the table in the file.
    init(_ reader: ConfigurationReader, _ path: [String], relays known: [String]) throws(ConfigurationError) {
        let wanted = "a domain such as example.com or *.example.com"
        senderDomains = try reader.strings(path + ["sender_domain"], wanted: wanted, Self.isDomain) ?? []
        recipientDomains = try reader.strings(path + ["recipient_domain"], wanted: wanted, Self.isDomain) ?? []
        let queuesKnown = ["default"] + (try reader.names(in: ["queue"]) ?? [])
        let queuesNamed = try reader.strings(path + ["queue"], wanted: "the name of a [queue.NAME]") {
            queuesKnown.contains($0)
        }
        queues = queuesNamed ?? []
        tags = try reader.strings(path + ["tag"], wanted: "a tag as jobs have them", Self.isTag) ?? []
        let names = try reader.strings(path + ["relays"], wanted: "the name of a [relay.NAME]") { known.contains($0) }
        guard let names else { throw reader.error(path + ["relays"], "is missing") }
        guard Set(names).count == names.count else { throw reader.error(path + ["relays"], "names a relay twice") }
        relays = names
    }

    /// As docs/protocol.md has it.
    private static func isTag(_ text: String) -> Bool {
        (1...64).contains(text.utf8.count)
            && text.utf8.allSatisfy { HostPort.isLetterOrDigit($0) || [0x2D, 0x2E, 0x5F].contains($0) }
    }

    private static func isDomain(_ text: String) -> Bool {
        HostPort.isDomain(text.hasPrefix("*.") ? String(text.dropFirst(2)) : text)
    }
}
