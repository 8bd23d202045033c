// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailJob
import MailSpool
import MailTelemetry
import MailTransport
import NIOCore

// Reading from the spool: what is ready and what is due.
extension Dispatcher {
    /// Rows a read brings: a quarter second of a fast relay.
    private static let readLimit = 512

    func readReady() {
        guard let spool, !isDraining else { return }
        if window.wantsDue { readDue() }
        for (priority, after) in window.lanesToRead() {
            spool.ask { [self] reading in
                let result = Result { () throws(SpoolError) in
                    try reading.ready(
                        priority: priority, after: after, limit: Self.readLimit, bytesMax: Limits.windowBytesMax)
                }
                loop.execute { [self] in readyRead(result, priority) }
            }
        }
    }

    private func readyRead(_ result: Result<[WaitingJob], SpoolError>, _ priority: UInt8) {
        switch result {
        case .success(let jobs):
            // Fewer than asked for may also mean that the bytes were enough: only an empty read is the end.
            window.loaded(jobs, priority: priority, complete: jobs.isEmpty)
        case .failure(let error):
            events.spoolFailed(error.message)
            // Not tried again at once: a broken disk must not be hammered. Until then the read counts as under way, or
            // a job committed meanwhile would move the cursor past those that were not read.
            loop.scheduleTask(in: .seconds(Self.failedReadSeconds)) { [self] in
                window.loaded([], priority: priority, complete: false)
                pump()
            }
        }
        pump()
    }

    private static var failedReadSeconds: Int64 { 5 }

    // MARK: Due

    /// The clock may jump: no due time is trusted for longer than this.
    private static var dueLookSeconds: Double { 60 }

    /// A job will be due at `time`: makes sure that somebody looks then.
    func noteDue(_ time: WallTime) {
        if let dueAt, dueAt <= time { return }
        arm(time)
    }

    private func arm(_ time: WallTime) {
        dueTimer?.cancel()
        dueAt = time
        guard !isDraining else { return }
        let wait = min(max(0, time.seconds(since: clock.now())), Self.dueLookSeconds)
        dueTimer = loop.scheduleTask(in: .milliseconds(Int64(wait * 1000) + 1)) { [self] in readDue() }
    }

    /// Loads scheduled jobs whose time has come and finds out when the next one is due.
    func readDue() {
        // Whatever is due by now is found by this look, or by one that the window remembers.
        dueAt = nil
        guard let spool, !isDraining, let known = window.beginDue() else { return }
        let now = clock.now()
        let limit = Self.readLimit + known
        spool.ask { [self] reading in
            let result = Result { () throws(SpoolError) in
                let jobs = try reading.due(at: now, limit: limit, bytesMax: Limits.windowBytesMax)
                let bytes = jobs.reduce(0) { $0 + $1.body.readableBytes }
                let isAll = jobs.count < limit && bytes < Limits.windowBytesMax
                return DueRead(jobs: jobs, isAll: isAll, next: try reading.nextDue(after: now))
            }
            loop.execute { [self] in dueRead(result) }
        }
    }

    private struct DueRead: Sendable {
        var jobs: [WaitingJob]
        var isAll: Bool
        var next: WallTime?
    }

    private func dueRead(_ result: Result<DueRead, SpoolError>) {
        switch result {
        case .success(let read):
            window.loadedDue(read.jobs, complete: read.isAll)
            if let next = read.next { noteDue(next) }
        case .failure(let error):
            events.spoolFailed(error.message)
            loop.scheduleTask(in: .seconds(Self.failedReadSeconds)) { [self] in
                window.loadedDue([], complete: false)
                pump()
            }
        }
        pump()
    }
}

extension WaitingJob {
    /// A job straight from its submission. A small body is copied, so that it does not hold a whole read's buffer.
    init(_ job: Submission, _ id: JobID, of chunk: Chunk) {
        let at = chunk.bytes.readerIndex + job.range.lowerBound
        let body =
            job.range.count < 16_384
            ? ByteBuffer(bytes: chunk.bytes.viewBytes(at: at, length: job.range.count) ?? ByteBufferView(ByteBuffer()))
            : chunk.bytes.getSlice(at: at, length: job.range.count) ?? ByteBuffer()
        self.init(
            id: id, state: .ready, kind: job.kind, priority: job.priority, uid: chunk.uid, attempts: 0,
            attemptsMax: job.attemptsMax, expiresAt: job.expiresAt, readyAt: id.time, fates: nil, body: body)
    }
}

extension AttemptResult {
    init(_ result: WorkResult, _ judgement: Judgement) {
        if judgement.state == .delivered {
            self = .delivered
        } else if result.tried.contains(where: { if case .unknown = $0.verdict { true } else { false } }) {
            self = .unknown
        } else {
            self = judgement.state == .scheduled ? .deferred : .failed
        }
    }
}
