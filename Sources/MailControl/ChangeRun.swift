// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailDispatch
import MailJob
import MailSpool
import MailWire

/// One operator's verb under way: jobs are found and changed a page at a time, so that neither the workers nor those
/// who submit wait long for it. Lives on the dispatcher's loop; ends by itself where the operator hangs up.
final class ChangeRun: @unchecked Sendable {
    private let verb: JobChange
    private let isDryRun: Bool
    private let subject: ControlSubject
    private let answer: Answer
    private var source: Source
    private var report = ChangeListing()

    /// Where the next page of jobs comes from.
    enum Source {
        case ids(ArraySlice<JobID>)
        case filter(JobFilter, after: JobID)
    }

    init(_ verb: JobChange, _ source: Source, isDryRun: Bool, _ subject: ControlSubject, _ answer: Answer) {
        self.verb = verb
        self.source = source
        self.isDryRun = isDryRun
        self.subject = subject
        self.answer = answer
    }

    func begin() { subject.dispatcher.loop.execute { [self] in takePage() } }

    private func takePage() {
        guard !answer.caller.isGone else { return told() }
        switch source {
        case .ids(let ids):
            let page = Array(ids.prefix(Limits.changeJobsMax))
            source = .ids(ids.dropFirst(page.count))
            if isDryRun { look(at: page) } else { change(page, hasMore: ids.count > page.count) }
        case .filter(let filter, let after): find(filter, after)
        }
    }

    private func find(_ filter: JobFilter, _ after: JobID) {
        let now = subject.clock.now()
        read { reading throws(SpoolError) in
            try reading.list(filter, at: now, after: after, limit: Limits.changeJobsMax, whole: false)
        } then: { [self] page in
            if let next = page.next { source = .filter(filter, after: next) }
            let hasMore = page.next != nil
            if isDryRun { judge(page.records, hasMore) } else { change(page.records.map(\.id), hasMore: hasMore) }
        }
    }

    private func change(_ ids: [JobID], hasMore: Bool) {
        subject.dispatcher.change(verb, ids, by: answer.caller.uid) { [self] result in
            switch result {
            case .success(let page):
                for job in page.changed { report.changed(job.id) }
                for job in page.unchanged { report.unchanged(job.id, job.state) }
                pageIsDone(hasMore)
            case .failure(let error): failed(error)
            }
        }
    }

    // MARK: Dry run

    private func look(at ids: [JobID]) {
        read { reading throws(SpoolError) in
            var records: [JobID: JobRecord] = [:]
            for id in ids { records[id] = try reading.show(id) }
            return records
        } then: { [self] records in
            for id in ids where records[id] == nil { report.unchanged(id, nil) }
            let hasMore = if case .ids(let left) = source { !left.isEmpty } else { false }
            judge(ids.compactMap { records[$0] }, hasMore)
        }
    }

    private func judge(_ records: [JobRecord], _ hasMore: Bool) {
        let running = subject.dispatcher.running(records.map(\.id))
        for record in records {
            if running.contains(record.id), !record.state.isFinal {
                report.unchanged(record.id, .running)
            } else if verb.applies(to: record.state) {
                report.changed(record.id)
            } else {
                report.unchanged(record.id, record.state)
            }
        }
        pageIsDone(hasMore)
    }

    // MARK: Answering

    private func pageIsDone(_ hasMore: Bool) {
        guard hasMore else { return end() }
        let loop = subject.dispatcher.loop
        guard answer.wantsMore else { return takePage() }
        answer.more(report.parameters) { [self] in loop.execute { [self] in takePage() } }
        report.startPage()
    }

    private func end() {
        told()
        answer(VarlinkReply(report.parameters))
    }

    private func failed(_ error: SpoolError) {
        told()
        let before = report.changedCount == 0 ? "" : " (\(report.changedCount) jobs were changed before)"
        answer(ControlMethods.failed("SpoolFailed", error.message + before))
    }

    private func told() {
        guard !isDryRun, report.changedCount > 0 else { return }
        subject.events.operated(verb: verb.rawValue, jobs: report.changedCount, by: answer.caller.uid)
    }

    /// Asks the reader; `then` on the loop.
    private func read<Value: Sendable>(
        _ question: @escaping @Sendable (any Reading) throws(SpoolError) -> Value,
        then: @escaping @Sendable (Value) -> Void
    ) {
        let loop = subject.dispatcher.loop
        subject.spool.ask { [self] reading in
            let result = Result { () throws(SpoolError) in try question(reading) }
            loop.execute { [self] in
                switch result {
                case .success(let value): then(value)
                case .failure(let error): failed(error)
                }
            }
        }
    }
}

/// What a verb came to so far: how many, and which of them, as far as one reply has room.
private struct ChangeListing {
    private(set) var changedCount = 0
    private var unchangedCount = 0
    private var ids: [JSONValue] = []
    private var others: [JSONValue] = []

    mutating func changed(_ id: JobID) {
        changedCount += 1
        if ids.count < Limits.changeJobsMax { ids.append(.string(id.description)) }
    }

    mutating func unchanged(_ id: JobID, _ state: JobState?) {
        unchangedCount += 1
        guard others.count < Limits.changeJobsMax else { return }
        var other: JSONObject = ["id": .string(id.description)]
        if let state { other["state"] = .string(state.name) }
        others.append(.object(other))
    }

    /// The numbers go on, the lists begin anew.
    mutating func startPage() {
        ids = []
        others = []
    }

    var parameters: JSONObject {
        [
            "changed": JSONValue(changedCount), "ids": .array(ids), "unchanged": JSONValue(unchangedCount),
            "others": .array(others),
        ]
    }
}
