// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailTransport

/// One `[[route]]`: which relays take which mail.
package struct RouteSettings: Equatable, Sendable {
    /// `example.com`, or `*.example.com` for all below it; empty: any sender.
    package var senderDomains: [String] = []
    /// The same for the recipient; empty: any.
    package var recipientDomains: [String] = []
    /// Names of relays in fail-over order, at least one.
    package var relays: [String] = []

    package init() {}

    /// It takes what no other route takes, wherever it stands.
    package var isDefault: Bool { senderDomains.isEmpty && recipientDomains.isEmpty }
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
        let names = try reader.strings(path + ["relays"], wanted: "the name of a [relay.NAME]") { known.contains($0) }
        guard let names else { throw reader.error(path + ["relays"], "is missing") }
        guard Set(names).count == names.count else { throw reader.error(path + ["relays"], "names a relay twice") }
        relays = names
    }

    private static func isDomain(_ text: String) -> Bool {
        HostPort.isDomain(text.hasPrefix("*.") ? String(text.dropFirst(2)) : text)
    }
}
