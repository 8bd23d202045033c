// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

/// Which relays take a mail, in fail-over order: the first route whose conditions hold, else the default.
///
/// A value without I/O. Relays are indices into the transport's own list.
package struct RouteTable: Equatable, Sendable {
    package struct Route: Equatable, Sendable {
        /// `example.com`, or `*.example.com` for everything below it; nil: any sender.
        package var senders: DomainSet?
        /// The same for the recipient; nil: any.
        package var recipients: DomainSet?
        /// Queues of the job; nil: any.
        package var queues: Set<String>?
        /// The job has one of these; nil: any job.
        package var tags: Set<String>?
        /// At least one.
        package var relays: [Int]

        package init(
            senders: DomainSet? = nil, recipients: DomainSet? = nil, queues: Set<String>? = nil,
            tags: Set<String>? = nil, relays: [Int]
        ) {
            self.senders = senders
            self.recipients = recipients
            self.queues = queues
            self.tags = tags
            self.relays = relays
        }
    }

    /// Recipients of one mail that take the same way.
    package struct Share: Equatable, Sendable {
        package var relays: [Int]
        /// Indices into the mail's recipients, rising.
        package var recipients: [Int]

        package init(relays: [Int], recipients: [Int]) {
            self.relays = relays
            self.recipients = recipients
        }
    }

    private let routes: [Route]
    /// For mail that no route takes.
    private let fallback: [Int]

    package init(routes: [Route], fallback: [Int]) {
        self.routes = routes
        self.fallback = fallback
    }

    /// Where all mail goes, whatever it is; nil where there are routes.
    var onlyWay: [Int]? { routes.isEmpty ? fallback : nil }

    /// How the mail is parted, in the order of each share's first recipient. The null sender has no domain: only routes
    /// that name no sender take it.
    package func shares(
        sender: String, recipients: [String], queue: String = "default", tags: [String] = []
    ) -> [Share] {
        guard !routes.isEmpty else { return [Share(relays: fallback, recipients: Array(recipients.indices))] }
        let domain = Self.domain(of: sender)
        let fitting = routes.enumerated().filter { $0.element.takes(queue, tags) }
        var shares: [Share] = []
        var known: [Int: Int] = [:]
        for (index, recipient) in recipients.enumerated() {
            let to = Self.domain(of: recipient)
            let route = fitting.first { $0.element.takes(from: domain, to: to) }?.offset ?? -1
            if let share = known[route] {
                shares[share].recipients.append(index)
            } else {
                known[route] = shares.count
                shares.append(Share(relays: route < 0 ? fallback : routes[route].relays, recipients: [index]))
            }
        }
        return shares
    }

    /// Lower case, empty where there is none. RFC 5321 §2.4: a domain's case means nothing.
    static func domain(of address: String) -> String {
        guard let at = address.lastIndex(of: "@") else { return "" }
        return address[address.index(after: at)...].lowercased()
    }
}

extension RouteTable.Route {
    fileprivate func takes(_ queue: String, _ tags: [String]) -> Bool {
        (queues?.contains(queue) ?? true) && (self.tags.map { wanted in tags.contains { wanted.contains($0) } } ?? true)
    }

    fileprivate func takes(from sender: String, to recipient: String) -> Bool {
        (senders?.contains(sender) ?? true) && (recipients?.contains(recipient) ?? true)
    }
}

/// Domains by name, and all below a name.
package struct DomainSet: Equatable, Sendable {
    private var exact: Set<String> = []
    /// Without their `*.`.
    private var below: Set<String> = []

    package init(_ names: [String]) {
        for name in names.map({ $0.lowercased() }) {
            if name.hasPrefix("*.") { below.insert(String(name.dropFirst(2))) } else { exact.insert(name) }
        }
    }

    /// - Parameter domain: in lower case.
    func contains(_ domain: String) -> Bool {
        if exact.contains(domain) { return true }
        guard !below.isEmpty else { return false }
        var rest = domain[...]
        while let dot = rest.firstIndex(of: ".") {
            rest = rest[rest.index(after: dot)...]
            if below.contains(String(rest)) { return true }
        }
        return false
    }
}
