// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import DNS

/// A host that takes a domain's mail, with the addresses it has.
package struct Exchanger: Equatable, Sendable {
    /// In lower case; an address where the domain is a literal.
    package var host: String
    package var preference: Int
    package var addresses: [IPAddress]
    /// The way to it is proven by DNSSEC: the MX records and the addresses.
    package var isSecure: Bool

    package init(_ host: String, preference: Int = 0, addresses: [IPAddress], isSecure: Bool = false) {
        self.host = host
        self.preference = preference
        self.addresses = addresses
        self.isSecure = isSecure
    }
}

/// The hosts that take a domain's mail, by rising preference.
package struct MailExchange: Equatable, Sendable {
    /// At least one, each with at least one address.
    package var exchangers: [Exchanger]
    /// Until it must be looked up again.
    package var seconds: Int

    package init(_ exchangers: [Exchanger], seconds: Int = 0) {
        self.exchangers = exchangers
        self.seconds = seconds
    }

    /// RFC 5321 §5.1: the lowest preference first, equal ones in random order, to spread the load. RFC 5321 §4.5.4.1: a
    /// host that was not reached lately is not tried again with each mail; here it comes after the others.
    package func order(
        isAway: (String) -> Bool, using generator: inout some RandomNumberGenerator
    ) -> [Exchanger] {
        var near: [Exchanger] = []
        var away: [Exchanger] = []
        for group in groups {
            let shuffled = group.shuffled(using: &generator)
            near += shuffled.filter { !isAway($0.host) }
            away += shuffled.filter { isAway($0.host) }
        }
        return Array((near + away).prefix(Self.triesMax))
    }

    /// Those whose open sessions may be used: of the lowest preference that is not away as a whole.
    package func nearest(isAway: (String) -> Bool) -> [Exchanger] {
        for group in groups {
            let near = group.filter { !isAway($0.host) }
            if !near.isEmpty { return near }
        }
        return []
    }

    private var groups: [[Exchanger]] {
        var groups: [[Exchanger]] = []
        for exchanger in exchangers {
            if groups.last?.first?.preference == exchanger.preference {
                groups[groups.count - 1].append(exchanger)
            } else {
                groups.append([exchanger])
            }
        }
        return groups
    }

    /// RFC 5321 §5.1 wants two tried at least; a domain with more than these is up to no good, or has them for spread.
    package static let triesMax = 5
}
