// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailWire

/// A broker's own mark of one delivery, by which it is acknowledged. The two numbers are the source's to choose.
package struct Receipt: Hashable, Sendable {
    /// What can be taken from us as a whole: a channel of RabbitMQ, an assignment of a Kafka partition. In Redis
    /// Streams the entry's milliseconds: there nothing is taken as a whole.
    package var group: UInt64
    package var number: UInt64

    package init(group: UInt64, number: UInt64) {
        self.group = group
        self.number = number
    }
}

/// One message as a broker hands it over.
package struct FeedMessage: Sendable {
    package var receipt: Receipt
    /// What the message is called upstream, for as long as it is there: `jobs/1700000000000-0`, `mail/3/4711`. Together
    /// with the body it makes the idempotency key.
    package var identity: String
    /// One JSON job, as on the socket.
    package var body: [UInt8]
    /// The broker says that it was handed over before.
    package var isRedelivered: Bool

    package init(receipt: Receipt, identity: String, body: [UInt8], isRedelivered: Bool) {
        self.receipt = receipt
        self.identity = identity
        self.body = body
        self.isRedelivered = isRedelivered
    }
}

/// A message that will never be a job, with the reason.
package struct DeadLetter: Equatable, Sendable {
    package var receipt: Receipt
    package var identity: String
    package var body: [UInt8]
    /// As docs/protocol.md § Answers names it: `invalid_job`.
    package var error: String
    package var message: String
    /// The field to blame; empty where none is.
    package var field: String
}

/// What became of a job.
package struct FeedOutcome: Equatable, Sendable {
    package var receipt: Receipt
    package var identity: String
    package var job: String
    package var end: JobEnd
    /// The job's own, as JSON; nil where it has none.
    package var ref: JSONValue?
    package var tags: JSONValue?

    /// The body of the event that is published, in one line.
    package func json(feed: String, at time: String) -> [UInt8] {
        var object: JSONObject = [
            "event": .string(end.state), "job": .string(job), "at": .string(time), "feed": .string(feed),
            "source": .string(identity),
        ]
        object["ref"] = ref
        object["tags"] = tags
        object["recipients"] = end.recipients
        var bytes: [UInt8] = []
        JSONValue.object(object).write(into: &bytes)
        return bytes
    }
}

/// How a job ended.
package struct JobEnd: Equatable, Sendable {
    /// `delivered`, `failed`, `expired`, `cancelled`; or `forgotten`, where maild does not know the job any more.
    package var state: String
    /// The last verdicts, as `Watch` tells them.
    package var recipients: JSONValue?

    package init(state: String, recipients: JSONValue? = nil) {
        self.state = state
        self.recipients = recipients
    }

    package static let states: Set<String> = ["delivered", "failed", "expired", "cancelled"]
}
