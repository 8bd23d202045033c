// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailJob
import MailWire

/// What the daemon says of itself: versions, queue, relays.
package enum QueueHealth {
    /// Longer than that no job should wait for a worker.
    private static let oldestSecondsMax = 600.0

    package static func judge(_ status: JSONValue, _ instance: Instance = .unnamed) -> [Finding] {
        version(status, instance) + queue(status) + relays(status["relays"]?.array ?? [], instance)
    }

    private static func version(_ status: JSONValue, _ instance: Instance) -> [Finding] {
        let daemon = status["version"]?.string ?? "?"
        guard daemon != Version.text else { return [.ok("versions", "maild and mailctl are \(daemon)")] }
        return [
            .warning(
                "versions", "maild is \(daemon), mailctl \(Version.text)",
                "systemctl restart \(instance.unit), where it was upgraded and runs on as before")
        ]
    }

    private static func queue(_ status: JSONValue) -> [Finding] {
        let counts = status["counts"]
        let number = { (state: String) in counts?[state]?.int ?? 0 }
        var findings: [Finding] = [
            .ok("queue", "\(number("ready")) ready, \(number("scheduled")) scheduled, \(number("running")) running")
        ]
        if status["paused"]?.bool == true {
            findings.append(.warning("queue", "is paused: no job is begun", "mailctl resume"))
        } else if let oldest = status["oldest_ready_seconds"]?.double, oldest > oldestSecondsMax {
            findings.append(
                .warning(
                    "queue", "the oldest ready job has waited \(Measure.text(seconds: oldest))",
                    "more workers (mailctl scale), or a faster relay (mailctl relays)"))
        }
        for state in ["failed", "held"] where number(state) > 0 {
            findings.append(.warning("queue", "\(number(state)) \(state)", "mailctl list --state \(state)"))
        }
        return findings
    }

    private static func relays(_ relays: [JSONValue], _ instance: Instance) -> [Finding] {
        relays.map { relay in
            let subject = "relay \(relay["name"]?.string ?? "?")"
            guard relay["transport"]?.string != "maildir" else {
                return .warning(
                    "relay", "there is none: mail goes into \(relay["address"]?.string ?? "the Maildir")",
                    "[relay.NAME] in \(instance.configuration), see maild.toml(5)")
            }
            switch relay["breaker"]?.string {
            case "open":
                let waiting = relay["waiting"]?.int ?? 0
                return .problem(
                    subject, "is away, \(waiting) mails wait: \(relay["cause"]?.string ?? "?")",
                    "mailctl relays; its table in \(instance.configuration); the relay's operators")
            case "half-open":
                return .warning(subject, "was away and is tried with one mail", "look again in a minute")
            default:
                return .ok(subject, "\(relay["address"]?.string ?? "?"), \(relay["delivered"]?.int ?? 0) delivered")
            }
        }
    }

    /// The answer of `Check(relay)`: a session as mail would have it.
    package static func judge(check reply: JSONValue, _ instance: Instance = .unnamed) -> Finding {
        let subject = "relay \(reply["name"]?.string ?? "?")"
        let steps = reply["findings"]?.array ?? []
        guard reply["ok"]?.bool == true else {
            let last = steps.last { $0["ok"]?.bool != true } ?? steps.last
            return .problem(
                subject, "\(last?["step"]?.string ?? "check"): \(last?["text"]?.string ?? "failed")",
                "its table in \(instance.configuration); operations.md, \"A relay refuses TLS or login\"")
        }
        let tls = reply["tls"]?.string.map { ", \($0)" } ?? ", in clear"
        return .ok(subject, "takes a session at \(reply["peer"]?.string ?? reply["address"]?.string ?? "?")\(tls)")
    }
}
