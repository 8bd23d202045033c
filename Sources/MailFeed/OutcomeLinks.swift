// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailJob
import MailWire
import NIOCore

/// How the feed learns how its jobs end: `Watch` over one connection to maild's control socket, and `Show`, for those
/// whose end may have been missed, over another. On one loop.
final class OutcomeLinks: @unchecked Sendable {
    private let watchLink: MaildLink
    private let askLink: MaildLink
    private var isWatching = false
    private var canAsk = false
    /// Asked, in the order of the replies.
    private var asked: CircularBuffer<String> = []
    private var unasked: CircularBuffer<String> = []
    var watchBegan: () -> Void = {}
    var watchLost: (_ reason: String) -> Void = { _ in }
    var missed: () -> Void = {}
    var jobEnded: (String, JobEnd) -> Void = { _, _ in }
    var told: (_ job: String, JobEnd?, _ isKnown: Bool) -> Void = { _, _, _ in }
    var settled: () -> Void = {}

    /// Questions on their way: maild reads them from disk one by one.
    private static let askedMax = 64

    init(_ path: String, on loop: any EventLoop) {
        watchLink = MaildLink(path, .varlink, on: loop)
        askLink = MaildLink(path, .varlink, on: loop)
        watchLink.opened = { [unowned self] in callWatch() }
        watchLink.lost = { [unowned self] in lost($0) }
        watchLink.received = { [unowned self] in watched($0) }
        watchLink.receivedAll = { [unowned self] in settled() }
        askLink.opened = { [unowned self] in
            canAsk = true
            pump()
        }
        askLink.lost = { [unowned self] _ in
            canAsk = false
            unasked = CircularBuffer(asked + unasked)
            asked.removeAll()
        }
        askLink.received = { [unowned self] in replied($0) }
        askLink.receivedAll = { [unowned self] in
            pump()
            settled()
        }
    }

    func connect() {
        watchLink.connect()
        askLink.connect()
    }

    func stop() {
        watchLink.stop()
        askLink.stop()
    }

    func ask(_ job: String) { unasked.append(job) }

    func pump() {
        guard canAsk else { return }
        while asked.count < Self.askedMax, let job = unasked.popFirst() {
            asked.append(job)
            askLink.write(VarlinkCall(method: "\(Self.interface).Show", parameters: ["id": .string(job)]).bytes)
        }
        askLink.flush()
    }

    private static let interface = "io.maild.Control"

    private func callWatch() {
        let states = JobEnd.states.sorted().map(JSONValue.string)
        let call = VarlinkCall(
            method: "\(Self.interface).Watch", parameters: ["states": .array(states)], more: true)
        watchLink.write(call.bytes)
    }

    private func lost(_ reason: String) {
        isWatching = false
        watchLost(reason)
    }

    private func watched(_ message: [UInt8]) {
        guard let reply = try? VarlinkReply(parsing: message), reply.error == nil else { return watchLink.reconnect() }
        if !isWatching {
            // The first reply is empty: nothing is missed from there on.
            isWatching = true
            watchBegan()
        }
        for event in reply.parameters["events"]?.array ?? [] {
            guard let job = event["job"]?.string, let state = event["state"]?.string, JobEnd.states.contains(state)
            else { continue }
            jobEnded(job, JobEnd(state: state, recipients: event["fates"]))
        }
        if let count = reply.parameters["missed"]?.int, count > 0 { missed() }
    }

    private func replied(_ message: [UInt8]) {
        guard let reply = try? VarlinkReply(parsing: message), let job = asked.popFirst() else {
            return askLink.reconnect()
        }
        switch reply.error {
        case nil:
            let state = reply.parameters["job"]?["state"]?.string ?? ""
            told(job, JobEnd.states.contains(state) ? JobEnd(state: state) : nil, true)
        case "\(Self.interface).NoSuchJob"?: told(job, nil, false)
        default: unasked.append(job)  // The spool could not answer; with the next event it is asked again.
        }
    }
}
