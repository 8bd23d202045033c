// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

/// Every bound of maild with the reason for its number. What an operator may change starts from here and stands in
/// the configuration under the same name (docs/configuration.md).
package enum Limits {
    // MARK: Submission

    /// A 25 MiB attachment is 34 MiB of base64, and the message around it must fit as well.
    package static let lineBytesMax = 40 << 20
    /// Lines up to this size need no share of `readingBytesMax`: nearly every job is one.
    package static let smallLineBytesMax = 64 << 10
    /// What large lines may hold in memory over all connections: six of the longest at a time.
    package static let readingBytesMax = 256 << 20
    /// One connection's lines that are read and not answered: enough to fill a group commit by itself.
    package static let unansweredLinesMax = 1024
    /// The same in bytes, so that a thousand medium-sized lines do not add up.
    package static let unansweredBytesMax = 1 << 20
    /// Lines of all connections that wait for their job's outcome, for days perhaps: some 20 MB.
    package static let waitingLinesMax = 65_536
    /// Connections in all: half of what is left of a common descriptor limit of 4,096.
    package static let connectionsMax = 2048
    /// Connections of one user, so that one program gone wild leaves room for the others.
    package static let connectionsPerUserMax = 1024
    /// A line must be whole after so long: a stalled writer holds memory that others wait for.
    package static let lineSecondsMax = 60

    /// Descriptors that clients have passed and that are not closed yet: an eighth of what the unit allows a process …
    package static let descriptorsMax = 2048
    /// … and of one user, as many as two messages bring (SCM_MAX_FD, 253 each).
    package static let descriptorsPerUserMax = 512
    /// Clients' files that are read at a time, one for each user: a file is in the page cache or on a local disk.
    package static let fileThreadsMax = 4

    /// For so long, in seconds, the intake loop may stand still while the disk takes a job that came alone: not longer
    /// than it may take to read what one client has sent.
    package static let standStillSeconds = 0.002

    // MARK: A job

    /// Nested deeper, it is no job of ours; keeps the parser's stack small.
    package static let depthMax = 64
    /// Postfix and Exchange Online take 1,000 and 500 recipients a message; more is a mailing list's business.
    package static let recipientsMax = 1000
    /// RFC 5321 §4.5.3.1.1–3: local part 64, domain 255, path 256 octets with its brackets.
    package static let localPartBytesMax = 64
    package static let domainBytesMax = 255
    package static let addressBytesMax = 254
    /// The app's own name for a job: an id or a URL, not a document.
    package static let refBytesMax = 256
    /// An idempotency key: a UUID, a hash or an order's number.
    package static let keyBytesMax = 256
    /// RFC 3461 §4.4: an ENVID has at most 100 characters, encoded as xtext.
    package static let envelopeIDBytesMax = 100
    /// Header fields beside our own.
    package static let headersMax = 100
    /// RFC 5322 §2.1.1: a line has at most 998 octets without its CRLF.
    package static let mailLineBytesMax = 998
    /// RFC 5322 §2.1.1: and should have no more than 78.
    package static let mailLineBytesWanted = 78
    package static let priorityMax = 9
    package static let priorityDefault = 4
    /// A year: what lies further ahead is a mistake in the units.
    package static let delaySecondsMax = 31_536_000
    package static let attemptsMax = 1000
    /// RFC 5321 §4.5.4.1: give up after four to five days.
    package static let expirySeconds = 432_000

    // MARK: Spool

    /// Ten million waiting jobs are a month's work of one relay, and some 5 GB.
    package static let spoolJobsMax = 10_000_000
    package static let spoolBytesMax = 20 << 30
    /// Rows in one commit: past some thousands the gain is gone and the answer's delay grows.
    package static let commitRowsMax = 4096
    package static let commitBytesMax = 64 << 20
    /// Finished jobs keep their history (without their body) for a day …
    package static let historySeconds = 86_400
    /// … but a day of a busy relay would outgrow the queue, so never more than these.
    package static let historyJobsMax = 1_000_000

    /// A repeat is known as one for a day after its job has ended: longer than any client's own retries.
    package static let keySeconds = 86_400
    /// Less than this left on disk, and no job is taken: the two largest commits, in the log and in the database, that
    /// may be under way before it is noticed.
    package static let freeBytesMin = 256 << 20
    /// Put by for the ends of jobs where others fill the disk: what `Dispatcher.unsettledMax` of them need, twice over.
    package static let reserveBytes = 16 << 20
    /// More damaged rows than these are no accident of single pages: the file is taken for damaged.
    package static let damagedJobsMax = 1000
    /// One commit of an operator's verb: some milliseconds in which nobody else's is written.
    package static let changeJobsMax = 1000
    /// A job whose attempts ended so many daemons in a row is held: the fourth would end the next one.
    package static let crashesMax = 3

    /// Bodies that one page of a list may hold in memory: a page is for people.
    package static let listBytesMax = 16 << 20
    /// Rows that one page of a list looks at, whether it takes them or not: some milliseconds of the reader, for whom
    /// the workers wait too. A look into a line counts as ten.
    package static let listLooksMax = 20_000

    // MARK: Control

    /// An operator's call: a thousand ids, or a filter.
    package static let controlBytesMax = 1 << 20
    /// One with jobs to import: the longest line as a string within a string, in which a quote takes two bytes.
    package static let importBytesMax = 2 * lineBytesMax + (1 << 20)

    // MARK: Dispatch

    package static let workersMax = 1024
    package static let workersDefault = 8
    /// Ready jobs held in memory for the workers: a few milliseconds of work at full speed.
    package static let windowJobsMax = 1024
    package static let windowBytesMax = 16 << 20
    /// The same of all lanes together: what a thousand users have waiting must not add up.
    package static let windowsJobsMax = 16_384
    package static let windowsBytesMax = 64 << 20
    /// Lines up to this size are held with their jobs while these wait; longer ones are read when they are begun.
    package static let largeBodyBytes = 256 << 10
    /// Lines of large jobs that are being worked on: each is held about three times over, as the line, as the message
    /// and on its way. One may always be begun.
    package static let largeInHandBytesMax = 64 << 20
    /// After SIGTERM a running job has so long to end before it is given back to the spool.
    package static let drainSecondsMax = 20

    // MARK: Feeds

    /// Messages of a broker that a feed holds unanswered: as many lines as maild reads ahead of its answers.
    package static let feedWindowMax = 1024
    /// The same where a message waits for its job's outcome, for hours perhaps: some 5 MB.
    package static let feedUnsettledMax = 16_384
    /// RabbitMQ's prefetch is a 16-bit number.
    package static let feedWindowHighest = 65_535
    /// Bodies in memory: no more is asked for past it, so that one read of the largest may lie above.
    package static let feedWindowBytesMax = 64 << 20

    // MARK: Telemetry

    /// Queues that the configuration no longer names and that have a metric's label of their own, for as long as the
    /// daemon runs; each costs some sixty series. A configuration that changes daily must not add up.
    package static let formerQueueLabelsMax = 32

    // MARK: SMTP

    /// RFC 5321 §4.5.3.1.5: a reply line has at most 512 octets; servers that say more are common, those without any
    /// bound are not.
    package static let replyLineBytesMax = 4096
    package static let replyLinesMax = 256
    /// RFC 3030 §2: a message by BDAT goes in chunks of so many octets, so that a server which refuses a large one is
    /// heard before all of it has gone in vain; nearly every message is one chunk.
    package static let chunkBytesMax = 1 << 20
    /// Kept open after the last message, below the five minutes at which RFC 5321 §4.5.3.2.7 lets a server hang up.
    package static let idleSecondsMax = 30
    package static let connectionsPerRelayMax = 16
    package static let messagesPerConnectionMax = 1000
    package static let replyTextBytesMax = 512

    // MARK: Bounce messages

    /// A mail up to this size comes back whole where that is wanted: who sent it has it, and has no use for much more.
    package static let returnedMessageBytesMax = 256 << 10
    /// A header beyond it comes back in part.
    package static let returnedHeaderBytesMax = 64 << 10

    // MARK: Delivery by MX

    /// Open connections over all domains: a small part of what the unit allows a process (16,384 descriptors).
    package static let mxConnectionsMax = 256
    /// What a stranger's server bears without complaint; Postfix begins with as many.
    package static let mxConnectionsPerDomainMax = 5
    /// Large providers hang up after a hundred.
    package static let mxMessagesPerConnectionMax = 100
    /// Domains, and hosts, that are remembered: a few megabytes.
    package static let mxDestinationsMax = 4096
    /// Domains that are away, as a report shows them: a page is for people.
    package static let mxShownMax = 20
    // MARK: Other kinds of job

    /// It is signed on the delivery loop, at some 400 MB a second: ten milliseconds at the most.
    package static let webhookBodyBytesMax = 4 << 20
    /// Servers take some 8 KB of header in all.
    package static let headerNameBytesMax = 256
    package static let headerValueBytesMax = 4096
    /// What a webhook's server answers, or a program writes, as it is kept with the verdict: a message for people.
    package static let keptTextBytesMax = 1024
    /// A server that wants to be left alone for longer than a day is asked after a day.
    package static let retryAfterSecondsMax = 86_400.0
}
