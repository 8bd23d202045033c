// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailJob
import MailWire

/// `mailctl show`: what the job is, and what happened to it, in order.
struct JobPage {
    private let reply: JSONValue
    private let job: JSONValue

    init(_ reply: JSONValue) {
        self.reply = reply
        job = reply["job"] ?? [:]
    }

    func show(on screen: inout Screen) throws(Failure) {
        try showFacts(on: &screen)
        try screen.line()
        try showTimeline(on: &screen)
    }

    private func showFacts(on screen: inout Screen) throws(Failure) {
        let kind = job["kind"]?.string ?? "?"
        let facts: [(String, String?)] = [
            ("Job", Printable.text(job["id"]?.string ?? "?") + (kind == "email" ? "" : " (\(Printable.text(kind)))")),
            ("State", job["state"]?.string.map(screen.state)),
            ("Queue", job["queue"]?.string.flatMap { $0 == "default" ? nil : Printable.text($0) }),
            ("Tags", Self.tags(job["tags"]?.array ?? [])),
            ("Key", reply["idempotency_key"]?.string.map(Printable.text)),
            ("Trace", reply["traceparent"]?.string.map(Printable.text)),
            ("Ref", job["ref"]?.string.map(Printable.text)),
            ("From", job["from"]?.string.map { Printable.text(Self.path($0)) }),
            ("To", Self.recipients(job["to"]?.array ?? [])),
            ("Subject", reply["subject"]?.string.map(Printable.text)),
            // A finished job's body is gone.
            ("Size", job["bytes"]?.int.flatMap { $0 == 0 ? nil : Measure.text(bytes: $0) }),
            ("Priority", job["priority"]?.int.map(String.init)),
            ("Attempts", job["attempts"]?.int.map(String.init)),
            ("Damaged", job["damage"]?.string.map(Printable.text)),
            ("Last reply", job["last_reply"]?.string.map(Printable.text)),
        ]
        for (name, value) in facts {
            guard let value else { continue }
            let label = name + String(repeating: " ", count: 11 - name.count)
            try screen.line(screen.terminal.styled(label, .bold) + value)
        }
    }

    private static func tags(_ tags: [JSONValue]) -> String? {
        tags.isEmpty ? nil : tags.compactMap(\.string).map(Printable.text).joined(separator: ", ")
    }

    private static func recipients(_ to: [JSONValue]) -> String? {
        let names = to.compactMap(\.string).map(Printable.text)
        return names.isEmpty ? nil : names.joined(separator: ",\n           ")
    }

    private func showTimeline(on screen: inout Screen) throws(Failure) {
        if let accepted = job["accepted_at"]?.string {
            try screen.line("\(screen.moment(accepted))  accepted\(submitter)")
        }
        var attempts = 0
        for entry in reply["history"]?.array ?? [] {
            if entry["relay"] != nil {
                attempts += 1
                try show(entry, number: attempts, on: &screen)
            } else {
                try showNote(entry, on: &screen)
            }
        }
        if let finished = reply["finished_at"]?.string {
            try screen.line("\(screen.moment(finished))  \(screen.state(job["state"]?.string ?? "finished"))")
            return
        }
        if let due = job["due_at"]?.string { try screen.line("\(screen.moment(due))  due") }
        if let expires = reply["expires_at"]?.string { try screen.line("\(screen.moment(expires))  expires") }
    }

    /// ` from app shop (uid 1000)`, or the user alone where no app is configured for it.
    private var submitter: String {
        guard let user = job["uid"]?.int else { return "" }
        guard let app = job["app"]?.string, app != App.otherName else { return " from uid \(user)" }
        return " from app \(Printable.text(app)) (uid \(user))"
    }

    /// RFC 5321 §4.5.5: the null sender, as a bounce has it, is written so.
    static func path(_ sender: String) -> String { sender.isEmpty ? "<>" : sender }

    /// `2026-11-23T14:00:27.240Z (0.6s ago)  held by uid 0`
    private func showNote(_ note: JSONValue, on screen: inout Screen) throws(Failure) {
        let event = note["event"]?.string ?? "?"
        var text = event == "crashed" ? "maild died with the job in hand" : Printable.text(event)
        if let uid = note["by"]?.int { text += " by uid \(uid)" }
        if let report = note["report"]?.string { text += " to the sender by \(Printable.text(report))" }
        if let failed = note["failed"]?.string { text += " to the sender the failure of \(Printable.text(failed))" }
        try screen.line("\(screen.moment(note["at"]?.string ?? "?"))  \(text)")
    }

    private func show(_ attempt: JSONValue, number: Int, on screen: inout Screen) throws(Failure) {
        let relay = attempt["relay"]?.string.map { " over \(Printable.text($0))" } ?? ""
        let server = [attempt["peer"], attempt["tls"]].compactMap { $0?.string }.map(Printable.text)
        let peer = server.isEmpty ? "" : " (\(server.joined(separator: ", ")))"
        let time = attempt["seconds"]?.double.map { ", took \(Measure.text(seconds: $0))" } ?? ""
        let at = screen.moment(attempt["at"]?.string ?? "?")
        try screen.line("\(at)  attempt \(number)\(relay)\(peer)\(time)")
        for fate in attempt["fates"]?.array ?? [] { try showFate(fate, on: &screen) }
    }

    /// `    deferred   a@example.com  451 4.7.1 Greylisted`
    private func showFate(_ fate: JSONValue, on screen: inout Screen) throws(Failure) {
        let verdict = fate["verdict"]?.string ?? "?"
        let style: Terminal.Style? =
            switch verdict {
            case "delivered": .green
            case "deferred", "unknown": .yellow
            case "rejected": .red
            default: nil
            }
        let code = fate["code"]?.int.flatMap { $0 == 0 ? nil : String($0) }
        let reply = [code, fate["enhanced"]?.string, fate["text"]?.string].compactMap { $0 }.filter { !$0.isEmpty }
        let blank = String(repeating: " ", count: max(0, 10 - verdict.count))
        let recipient = Printable.text(fate["recipient"]?.string ?? "?")
        try screen.line(
            "    \(screen.terminal.styled(Printable.text(verdict), style))\(blank) \(recipient)  "
                + Printable.text(reply.joined(separator: " ")))
    }
}
