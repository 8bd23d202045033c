// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailJob
import MailSpool
import NIOCore
import Synchronization

/// Jobs whose submitters wait for the end (`"wait":"settled"`): hears of every end from the spool, reads those that
/// somebody waits for, and tells.
///
/// Lives on the intake loop, but for what the spool's writer calls. While nobody waits a commit costs one look at a
/// number.
package final class Outcomes: SpoolListener, @unchecked Sendable {
    private let loop: any EventLoop
    /// Lines that wait, from the moment they are read: a job may end before its submitter's loop hears that it is kept.
    private let count = Atomic<Int>(0)
    // On the loop.
    private var spool: Spool?
    private var waiting: [JobID: [Conversation]] = [:]
    private var isGivingUp = false

    package init(on loop: any EventLoop) { self.loop = loop }

    /// On the loop, before the first line is read.
    package func start(_ spool: Spool) { self.spool = spool }

    // MARK: Who waits

    var hasRoom: Bool { count.load(ordering: .relaxed) < Limits.waitingLinesMax }

    /// So many lines were read that will wait, or (negative) are answered or given up.
    func expect(_ lines: Int) { if lines != 0 { count.add(lines, ordering: .relaxed) } }

    /// - Parameter isRepeat: the job is an older one, and may have ended already.
    func wait(for job: JobID, _ conversation: Conversation, isRepeat: Bool) {
        waiting[job, default: []].append(conversation)
        if isRepeat || isGivingUp { look(at: [job]) }
    }

    func forget(_ job: JobID, _ conversation: Conversation) {
        waiting[job]?.removeAll { $0 === conversation }
        if waiting[job]?.isEmpty == true { waiting[job] = nil }
    }

    /// The daemon stops: whoever waits is told how the job stands now.
    func giveUp() {
        isGivingUp = true
        look(at: Array(waiting.keys))
    }

    // MARK: What ends

    /// On the writer's thread.
    package func committed(_ chunks: [Chunk], settled: [JobID]) { heard(settled) }

    /// On the writer's thread.
    package func changed(_ jobs: [ChangedJob]) { heard(jobs.map(\.id)) }

    private func heard(_ jobs: [JobID]) {
        guard !jobs.isEmpty, count.load(ordering: .relaxed) > 0 else { return }
        loop.execute { [self] in look(at: jobs.filter { waiting[$0] != nil }) }
    }

    private func look(at jobs: [JobID]) {
        guard let spool, !jobs.isEmpty else { return }
        spool.ask { [self] reading in
            var found: [(id: JobID, record: JobRecord?)] = []
            // What cannot be read is looked at again with its next change, or when the daemon stops.
            for id in jobs {
                let result = Result { () throws(SpoolError) in try reading.show(id) }
                if case .success(let record) = result { found.append((id, record)) }
            }
            loop.execute { [self, found] in for job in found { tell(job.id, job.record) } }
        }
    }

    private func tell(_ job: JobID, _ record: JobRecord?) {
        guard isGivingUp || record.map({ $0.state.isEnd }) ?? true else { return }
        for conversation in waiting.removeValue(forKey: job) ?? [] { conversation.settled(job, record) }
    }
}

extension JobState {
    /// The outcome is known: nothing more will happen unless an operator wants it.
    fileprivate var isEnd: Bool { isFinal || self == .failed }
}

/// Several who hear what the spool does; each is told in its turn.
package final class SpoolListeners: SpoolListener {
    private let all: [any SpoolListener]

    package init(_ all: [any SpoolListener]) { self.all = all }

    package func committed(_ chunks: [Chunk], settled: [JobID]) {
        for listener in all { listener.committed(chunks, settled: settled) }
    }

    package func changed(_ jobs: [ChangedJob]) { for listener in all { listener.changed(jobs) } }

    package func reported(_ jobs: [ReportedJob]) { for listener in all { listener.reported(jobs) } }
}
