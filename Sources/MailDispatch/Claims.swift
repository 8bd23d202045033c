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
            window.loaded([], priority: priority, complete: true)
            // Tried again with the next due look, not at once: a broken disk must not be hammered.
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
        guard let spool, !isReadingDue, !isDraining else { return }
        isReadingDue = true
        dueAt = nil
        let now = clock.now()
        let limit = Self.readLimit + window.dueLoaded.count
        spool.ask { [self] reading in
            let result = Result { () throws(SpoolError) in
                let jobs = try reading.due(at: now, limit: limit, bytesMax: Limits.windowBytesMax)
                return DueRead(jobs: jobs, isAll: jobs.count < limit, next: try reading.nextDue(after: now))
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
        isReadingDue = false
        switch result {
        case .success(let read):
            window.loadedDue(read.jobs)
            // More are due than were read: look again soon, when some of these are through.
            if !read.isAll { noteDue(clock.now() + 1) } else if let next = read.next { noteDue(next) }
        case .failure(let error):
            events.spoolFailed(error.message)
            noteDue(clock.now() + Double(Self.failedReadSeconds))
        }
        pump()
    }
}

extension WaitingJob {
    /// A job straight from its submission. Small bodies are copied, so that a few bytes do not hold a whole read's buffer.
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
