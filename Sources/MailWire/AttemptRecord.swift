// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailJob

/// One attempt in a job's history: a line of JSON, kept by the spool and shown by `mailctl show`.
///
///     {"at":1763900000123,"ms":12,"relay":"main","peer":"192.0.2.1:25","tls":"TLSv1.3","from":"a@example.org",
///      "fates":[{"to":"a@example.com","verdict":"delivered","code":250,"enhanced":"2.0.0","text":"Ok"}]}
package struct AttemptRecord: Equatable, Sendable {
    package struct Fate: Equatable, Sendable {
        package var recipient: String
        /// `Verdict.name`.
        package var verdict: String
        package var reply: Reply
    }

    package var at: WallTime
    package var milliseconds: Int
    package var relay: String
    package var peer: String?
    /// The version; nil in clear.
    package var tls: String?
    package var sender: String?
    package var ref: String?
    /// `TraceContext.parent` of the job.
    package var traceparent: String?
    package var fates: [Fate]

    /// Writes one line, with its newline.
    package static func write(
        to line: inout [UInt8], at: WallTime, milliseconds: Int, relay: String, peer: String?, tls: String?,
        sender: String?, ref: String?, traceparent: String? = nil,
        tried: [Trial]
    ) {
        line.put("{\"at\":")
        line.putJSON(at.milliseconds)
        line.put(",\"ms\":")
        line.putJSON(milliseconds)
        line.put(",\"relay\":")
        line.putJSON(relay)
        put(",\"peer\":", peer, &line)
        put(",\"tls\":", tls, &line)
        put(",\"from\":", sender, &line)
        put(",\"ref\":", ref, &line)
        put(",\"traceparent\":", traceparent, &line)
        line.put(",\"fates\":[")
        var separator: StaticString = "{\"to\":"
        for trial in tried {
            line.put(separator)
            put(trial.recipient, trial.verdict, &line)
            separator = ",{\"to\":"
        }
        line.put("]}\n")
    }

    private static func put(_ recipient: String, _ verdict: Verdict, _ line: inout [UInt8]) {
        let reply = verdict.reply
        line.putJSON(recipient)
        line.put(",\"verdict\":")
        line.put(verdict.quotedName)
        line.put(",\"code\":")
        line.putJSON(reply.code)
        put(",\"enhanced\":", reply.enhanced.isEmpty ? nil : reply.enhanced, &line)
        put(",\"text\":", reply.text, &line)
        line.put(UInt8(ascii: "}"))
    }

    private static func put(_ key: StaticString, _ value: String?, _ line: inout [UInt8]) {
        guard let value else { return }
        line.put(key)
        line.putJSON(value)
    }

    init?(_ json: JSONValue) {
        guard let at = json["at"]?.int, let relay = json["relay"]?.string else { return nil }
        self.at = WallTime(milliseconds: Int64(at))
        self.relay = relay
        milliseconds = json["ms"]?.int ?? 0
        peer = json["peer"]?.string
        tls = json["tls"]?.string
        sender = json["from"]?.string
        ref = json["ref"]?.string
        traceparent = json["traceparent"]?.string
        fates = (json["fates"]?.array ?? []).map { fate in
            let reply = Reply(
                fate["code"]?.int ?? 0, fate["enhanced"]?.string ?? "", fate["text"]?.string ?? "")
            return Fate(
                recipient: fate["to"]?.string ?? "", verdict: fate["verdict"]?.string ?? "", reply: reply)
        }
    }
}

extension Verdict {
    /// `name` as JSON.
    fileprivate var quotedName: StaticString {
        switch self {
        case .delivered: "\"delivered\""
        case .deferred: "\"deferred\""
        case .rejected: "\"rejected\""
        case .unknown: "\"unknown\""
        }
    }
}
