// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

/// One of the mailds of a machine: `maild.service`, which has no name, or `maild@NAME.service`.
package struct Instance: Equatable, Sendable {
    package static let unnamed = Instance()

    private let name: String?

    private init() { name = nil }

    /// nil where it cannot be a name: it stands in those of units and files. systemd.unit(5), "String escaping for
    /// inclusion in unit names": of these characters none is escaped.
    package init?(_ name: String) {
        guard (1...64).contains(name.utf8.count), !name.hasPrefix("."), !name.hasPrefix("-") else { return nil }
        let isGood = name.unicodeScalars.allSatisfy { scalar in
            switch scalar {
            case "a"..."z", "A"..."Z", "0"..."9", "-", "_", ".": true
            default: false
            }
        }
        guard isGood else { return nil }
        self.name = name
    }

    /// Without `.service`, as `journalctl -u` and `systemctl` take it.
    package var unit: String { Self.unit("maild", name) }

    package var service: String { "\(unit).service" }

    package var sockets: [String] { ["maild", "maild-control"].map { "\(Self.unit($0, name)).socket" } }

    package var metricsSocket: String { "\(Self.unit("maild-metrics", name)).socket" }

    package var configuration: String { "/etc/maild/\(name ?? "maild").toml" }

    package var stateDirectory: String { name.map { "/var/lib/maild/instances/\($0)" } ?? "/var/lib/maild" }

    package func path(of door: Door) -> String {
        name.map { "/run/maild/\($0)/\(door.fileName)" } ?? "/run/maild/\(door.fileName)"
    }

    private static func unit(_ prefix: String, _ name: String?) -> String {
        name.map { "\(prefix)@\($0)" } ?? prefix
    }
}
