// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

/// An SMTP reply, or what stands in its place where there was none.
///
/// `code` follows RFC 5321 §4.2; `enhanced` is RFC 3463's `class.subject.detail`, empty where the server gave none;
/// `text` is the rest, lines joined by a space, without CR, LF or other control characters.
package struct Reply: Hashable, Sendable {
    package var code: Int
    package var enhanced: String
    package var text: String

    package init(_ code: Int, _ enhanced: String = "", _ text: String = "") {
        self.code = code
        self.enhanced = enhanced
        self.text = text
    }
}

/// What became of one recipient in one attempt.
package enum Verdict: Hashable, Sendable {
    case delivered(Reply)
    /// 4yz, or the next hop was never reached: tried again at the due time.
    case deferred(Reply)
    /// 5yz: never tried again.
    case rejected(Reply)
    /// The connection broke between the end of the data and its reply (RFC 5321 §4.5.3.2.6): it may have arrived.
    case unknown(Reply)

    package var reply: Reply {
        switch self {
        case .delivered(let reply), .deferred(let reply), .rejected(let reply), .unknown(let reply): reply
        }
    }

    package var name: String {
        switch self {
        case .delivered: "delivered"
        case .deferred: "deferred"
        case .rejected: "rejected"
        case .unknown: "unknown"
        }
    }
}

/// One recipient of one attempt, and what became of it.
package struct Trial: Sendable {
    package var recipient: String
    package var verdict: Verdict

    package init(recipient: String, verdict: Verdict) {
        self.recipient = recipient
        self.verdict = verdict
    }
}
