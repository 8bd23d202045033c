// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailJob
import MailTransport
import NIOCore
import NIOEmbedded

/// A transport that does what the test says.
final class FakeTransport: MailTransport {
    let name: String
    private let loop: EmbeddedEventLoop
    /// In hand, oldest first.
    private(set) var held: [(mail: Mail, done: (Outcome) -> Void)] = []
    /// All mail it was ever given, in order, with the time.
    private(set) var given: [(mail: Mail, seconds: Double)] = []
    private(set) var rousings = 0
    private(set) var isClosed = false
    /// Answers at the end of the turn; nil: holds what it gets.
    var automatic: ((Mail) -> Outcome)?

    init(_ name: String, _ loop: EmbeddedEventLoop) {
        self.name = name
        self.loop = loop
    }

    func send(_ mail: Mail, done: @escaping (Outcome) -> Void) {
        given.append((mail, Double(loop.now.uptimeNanoseconds) / 1e9))
        held.append((mail, done))
        if automatic != nil { loop.assumeIsolated().execute { self.answerAutomatically() } }
    }

    private func answerAutomatically() {
        guard let automatic, !held.isEmpty else { return }
        let first = held.removeFirst()
        first.done(automatic(first.mail))
    }

    /// Answers the mail held the longest, or another.
    func answer(_ index: Int = 0, _ outcome: (FakeTransport, Mail) -> Outcome = { $0.delivered($1) }) {
        let one = held.remove(at: index)
        one.done(outcome(self, one.mail))
    }

    func delivered(_ mail: Mail) -> Outcome { all(mail, .delivered(Reply(250, "2.0.0", name))) }
    func deferred(_ mail: Mail) -> Outcome { all(mail, .deferred(Reply(450, "4.2.1", name))) }
    func throttled(_ mail: Mail) -> Outcome { all(mail, .deferred(Reply(451, "4.7.1", name))) }

    private func all(_ mail: Mail, _ verdict: Verdict) -> Outcome {
        Outcome(verdicts: mail.recipients.map { _ in verdict }, relay: name, peer: "\(name):25")
    }

    func away(_ mail: Mail) -> Outcome {
        let cause = Reply(451, "4.4.1", "\(name) refused")
        var outcome = Outcome(verdicts: mail.recipients.map { _ in .deferred(cause) }, relay: name)
        outcome.putOff = PutOff(relay: name, cause: cause, seconds: 1, recipients: Array(mail.recipients.indices))
        return outcome
    }

    func rouse() { rousings += 1 }

    func close(done: @escaping () -> Void) {
        isClosed = true
        done()
    }

    var reports: [TransportReport] { [TransportReport(name: name, transport: "fake", address: name)] }
}

/// Relays that are fakes behind a RoutedTransport, on a loop whose time is the test's.
final class Harbour {
    let loop = EmbeddedEventLoop()
    let relays: [FakeTransport]
    let heard: [BreakerHearsay]
    let transport: RoutedTransport
    /// By job.
    private(set) var outcomes: [Int64: [Outcome]] = [:]
    private var count: Int64 = 0

    init(
        _ names: [String] = ["a"], rates: [String: Double] = [:], routes: [RouteTable.Route] = [],
        fallback: [Int] = [0], workers: Int = 8, chance: @escaping () -> Double = { 0.5 }
    ) {
        let loop = loop
        relays = names.map { FakeTransport($0, loop) }
        heard = names.map { _ in BreakerHearsay() }
        transport = RoutedTransport(
            zip(relays, heard).map { RoutedRelay($0, messagesPerSecond: rates[$0.name], observer: $1) },
            table: RouteTable(routes: routes, fallback: fallback), loop: loop, chance: chance)
        transport.staffed(by: workers)
    }

    @discardableResult
    func send(_ recipients: String..., from sender: String = "me@example.org") -> Int64 {
        send(recipients, from: sender)
    }

    @discardableResult
    func send(_ recipients: [String], from sender: String = "me@example.org") -> Int64 {
        count += 1
        let job = count
        let mail = Mail(
            job: JobID(raw: job), sender: sender, recipients: recipients.isEmpty ? ["\(job)@example.com"] : recipients,
            message: ByteBuffer(string: "hi\r\n"), needs8BitMIME: false)
        var isSending = true
        transport.send(mail) { outcome in
            precondition(!isSending, "answered from within send")
            self.outcomes[job, default: []].append(outcome)
        }
        isSending = false
        return job
    }

    func run(seconds: Double = 0) { loop.advanceTime(by: .nanoseconds(Int64(seconds * 1e9))) }

    /// The one outcome of a job; nil while there is none.
    func outcome(_ job: Int64) -> Outcome? {
        loop.run()
        let all = outcomes[job] ?? []
        precondition(all.count < 2, "answered twice")
        return all.first
    }

    func report(_ index: Int = 0) -> TransportReport { transport.reports[index] }
}

final class BreakerHearsay: RouteObserver {
    private(set) var words: [String] = []

    func opened(_ cause: String, seconds: Double) { words.append("open \(Int(seconds.rounded())) \(cause)") }
    func probing() { words.append("probe") }
    func closed() { words.append("closed") }
}
