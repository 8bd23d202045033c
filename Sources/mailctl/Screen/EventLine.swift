// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailWire

/// One event of `mailctl watch`:
/// `2026-11-23T14:00:27.251Z  0SAMKJXD000ZM  delivered  ann@example.com, bob@example.com  250 2.0.0 Ok`
enum EventLine {
    /// More recipients than these are only counted.
    private static let recipientsMax = 3

    static func text(_ event: JSONValue, on screen: Screen) -> String {
        let name = event["event"]?.string ?? "?"
        var parts = [Printable.text(event["at"]?.string ?? "?")]
        if let job = event["job"]?.string { parts.append(Printable.text(job)) }
        parts.append(screen.state(name.replacing("_", with: " ")))
        parts += [recipients(event), reply(event)].compactMap { $0 }.map(Printable.text)
        if let workers = event["workers"]?.int { parts.append("\(workers) workers") }
        if let relay = event["relay"]?.string { parts.append("relay \(Printable.text(relay))") }
        if let detail = event["detail"]?.string { parts.append(Printable.text(detail)) }
        if let report = event["report"]?.string { parts.append("by \(Printable.text(report))") }
        if let uid = event["by"]?.int { parts.append("by uid \(uid)") }
        if let queue = event["queue"]?.string, queue != "default", event["job"] != nil {
            parts.append("queue \(Printable.text(queue))")
        }
        return parts.joined(separator: "  ")
    }

    /// Those who explain the event: of a deferred job the ones who wait.
    private static func fates(_ event: JSONValue) -> [JSONValue] {
        let fates = event["fates"]?.array ?? []
        let others = fates.filter { $0["verdict"]?.string != "delivered" }
        return others.isEmpty ? fates : others
    }

    private static func recipients(_ event: JSONValue) -> String? {
        let names = fates(event).compactMap { $0["recipient"]?.string }
        guard !names.isEmpty else { return nil }
        let rest = names.count > recipientsMax ? " and \(names.count - recipientsMax) others" : ""
        return names.prefix(recipientsMax).joined(separator: ", ") + rest
    }

    private static func reply(_ event: JSONValue) -> String? {
        guard let fate = fates(event).first else { return nil }
        let code = fate["code"]?.int.flatMap { $0 == 0 ? nil : String($0) }
        let parts = [code, fate["enhanced"]?.string, fate["text"]?.string].compactMap { $0 }.filter { !$0.isEmpty }
        return parts.isEmpty ? nil : parts.joined(separator: " ")
    }
}
