// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailJob
import MailSpool
import MailTelemetry

/// What one commit has kept, in runs of jobs that are alike: each is counted once and told of in few lines.
package struct AcceptedRuns {
    package struct Run {
        package let kind: UInt8
        package let queue: UInt16
        package let uid: UInt32
        package let app: AppHandle
        package var jobs = 0
        /// Empty where nobody wants to know.
        package var each: [AcceptedJob] = []
    }

    package private(set) var runs: [Run] = []
    /// Where those of the last chunk's user begin. Few: most users have one kind and queue.
    private var usersFirst = 0
    private let wantsEach: Bool

    package init(wantsEach: Bool) { self.wantsEach = wantsEach }

    package mutating func add(_ chunk: Chunk, app: AppHandle) {
        if let last = runs.last, last.uid != chunk.uid || last.app !== app { usersFirst = runs.count }
        var place = runs.count
        chunk.forEachKept { index, id in
            let job = chunk.submissions[index]
            place = self.place(of: job, chunk.uid, app, after: place)
            runs[place].jobs += 1
            if wantsEach { runs[place].each.append(chunk.accepted(job, id)) }
        }
    }

    /// - Parameter last: that of the job before, or none.
    private mutating func place(of job: Submission, _ uid: UInt32, _ app: AppHandle, after last: Int) -> Int {
        if last < runs.count, runs[last].kind == job.kind, runs[last].queue == job.queue { return last }
        let found = runs[usersFirst...].firstIndex { $0.kind == job.kind && $0.queue == job.queue }
        if let found { return found }
        runs.append(Run(kind: job.kind, queue: job.queue, uid: uid, app: app))
        return runs.count - 1
    }
}

extension Chunk {
    fileprivate func accepted(_ job: Submission, _ id: JobID) -> AcceptedJob {
        let state = job.dueAt == nil ? JobState.ready : .scheduled
        return AcceptedJob(id: id, queue: job.queue, state: state, trace: job.isTraced ? trace(job) : nil)
    }

    private func trace(_ job: Submission) -> TraceContext? {
        bytes.withUnsafeReadableBytes { TraceContext(of: UnsafeRawBufferPointer(rebasing: $0[job.range])) }
    }
}
