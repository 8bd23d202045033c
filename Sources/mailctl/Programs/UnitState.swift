// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

/// What `systemctl show` tells of units (systemctl(1)).
package struct UnitState: Equatable {
    package private(set) var properties: [String: String] = [:]

    package init(_ properties: [String: String]) { self.properties = properties }

    package subscript(_ name: String) -> String { properties[name] ?? "" }

    /// `Name=value` a line, an empty line between two units.
    package static func parse(_ text: String) -> [UnitState] {
        var states: [UnitState] = []
        var properties: [String: String] = [:]
        for line in text.split(separator: "\n", omittingEmptySubsequences: false) {
            if let equals = line.firstIndex(of: "=") {
                properties[String(line[..<equals])] = String(line[line.index(after: equals)...])
            } else if !properties.isEmpty {
                states.append(UnitState(properties))
                properties = [:]
            }
        }
        return properties.isEmpty ? states : states + [UnitState(properties)]
    }

    /// nil where systemd does not run, or does not answer us.
    static func show(_ units: [String], _ properties: [String]) -> [UnitState]? {
        let program = Program(
            arguments: ["systemctl", "show", "--property=\(properties.joined(separator: ","))"] + units)
        guard let ending = program.run(), ending.status == 0 else { return nil }
        return parse(ending.output)
    }
}
