// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailJob
import MailSpool
import MailTransport
import MailWire
import NIOCore

/// What has come to its end, on the way to be settled. A class, because it is handed on a few times, and a copy of a
/// value would count the references of each of its strings.
///
/// `@unchecked Sendable`: touched on the delivery loop alone; a question to the spool carries it along, unopened.
final class Ending: @unchecked Sendable {
    let job: WaitingJob
    var settlement: Settlement
    /// Who is busy with it.
    let worker: Int?
    /// nil: its time was over before there was one.
    let attempt: Attempt?

    struct Attempt {
        let result: WorkResult
        let judgement: Judgement
        let seconds: Double
    }

    init(_ job: WaitingJob, _ settlement: consuming Settlement, worker: Int?, attempt: consuming Attempt? = nil) {
        self.job = job
        self.settlement = settlement
        self.worker = worker
        self.attempt = attempt
    }
}

// A failure of which the sender is told: the report is made before the end is settled, so that one commit has both. The
// worker stays with the job until then, and no operator can change it. A crash before the commit leaves the job as it
// was before the attempt: it is tried again, and nobody was told anything.
extension Dispatcher {
    func mayReport(_ job: WaitingJob, _ settlement: Settlement) -> Bool {
        guard settlement.state == .failed || settlement.state == .expired else { return false }
        guard Int(job.kind) < kinds.count, spool != nil else { return false }
        return job.isLarge || kinds[Int(job.kind)].mayReport(job.body)
    }

    /// What earlier attempts came to stands in the spool alone.
    func report(_ ending: Ending) {
        guard let spool else { return conclude(ending) }
        let id = ending.job.id
        spool.ask { [self] reading in
            let result = Result { () throws(SpoolError) in try reading.show(id) }
            loop.execute { [self] in recordRead(result, ending) }
        }
    }

    private func recordRead(_ result: Result<JobRecord?, SpoolError>, _ ending: Ending) {
        switch result {
        case .success(let record?): return compose(ending, record)
        case .success(nil): return conclude(ending)
        case .failure(let error): events.spoolFailed(error.message)
        }
        // A broken disk must not be hammered; until it can be read the end is not settled, and nobody is left untold.
        loop.assumeIsolated().scheduleTask(in: .seconds(Self.recordSeconds)) { [self] in report(ending) }
    }

    private static var recordSeconds: Int64 { 5 }

    private func compose(_ ending: Ending, _ record: JobRecord) {
        let attempts = HistoryRecord.parse(record.history + ending.settlement.history).compactMap(\.attempt)
        let failure = FailedWork(
            job: ending.job.id, line: ByteBuffer(bytes: record.body), fates: ending.settlement.fates,
            attempts: attempts)
        kinds[Int(ending.job.kind)].report(failure) { [self] report in composed(ending, report) }
    }

    private func composed(_ ending: Ending, _ report: FailureReport) {
        switch report {
        case .none: break
        case .line(let line):
            let now = ending.settlement.endedAt
            ending.settlement.report = ReportJob(
                line: line, priority: ending.job.priority, dueAt: now, expiresAt: now + settings.expirySeconds)
        // The next start finds the job as it was, and tries it again.
        case .stopping: return
        }
        conclude(ending)
    }
}
