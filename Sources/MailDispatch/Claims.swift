// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailJob
import MailSpool
import MailTelemetry
import MailTransport
import NIOCore

// Reading from the spool: what is ready and what is due.
extension Dispatcher {
    func readReady() {
        guard let spool, !isDraining else { return }
        guard spool.fleet == nil else { return claimMore(spool) }
        let wants = window.wants()
        if wants.lanes { return readLanes(spool) }
        if wants.due { readDue() }
        let reads = window.lanesToRead()
        tellMore()
        for read in reads {
            spool.ask { [self] reading in
                let result = Result { () throws(SpoolError) in
                    try reading.ready(
                        read.lane, after: read.after, limit: read.limit, bytesMax: Limits.windowBytesMax)
                }
                loop.execute { [self] in readyRead(result, read.lane) }
            }
        }
    }

    private func readyRead(_ result: Result<[WaitingJob], SpoolError>, _ lane: Lane) {
        switch result {
        case .success(let jobs):
            // Fewer than asked for may also mean that the bytes were enough: only an empty read is the end.
            window.loaded(jobs, lane, complete: jobs.isEmpty)
        case .failure(let error):
            // Not tried again at once: a broken disk must not be hammered. Until then the read counts as under way, or
            // a job committed meanwhile would move the cursor past those that were not read.
            readFailed(error) { [self] in window.loaded([], lane, complete: false) }
        }
        pump()
    }

    /// At the start: in which lanes jobs wait.
    private func readLanes(_ spool: Spool) {
        guard !isReadingLanes else { return }
        isReadingLanes = true
        spool.ask { [self] reading in
            let result = Result { () throws(SpoolError) in try reading.readyLanes() }
            loop.execute { [self] in lanesRead(result) }
        }
    }

    private func lanesRead(_ result: Result<[Lane], SpoolError>) {
        switch result {
        case .success(let lanes):
            isReadingLanes = false
            window.open(lanes)
        case .failure(let error): readFailed(error) { [self] in isReadingLanes = false }
        }
        pump()
    }

    private func readFailed(_ error: SpoolError, then recover: @escaping () -> Void) {
        events.spoolFailed(error.message)
        loop.assumeIsolated().scheduleTask(in: .seconds(Self.failedReadSeconds)) { [self] in
            recover()
            pump()
        }
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

    /// Somebody has set the wall clock: what is due by the new time is looked for at once.
    package func clockWasSet() { loop.execute { [self] in readDue() } }

    /// Loads scheduled jobs whose time has come and finds out when the next one is due.
    func readDue() {
        // Whatever is due by now is found by this look, or by one that the window remembers.
        dueAt = nil
        guard spool?.fleet == nil else {
            fleet.want()
            return pump()
        }
        guard let spool, !isDraining, let look = window.beginDue() else { return }
        let now = clock.now()
        spool.ask { [self] reading in
            let result = Result { () throws(SpoolError) in
                let due = try reading.due(
                    at: now, limit: ReadyWindow.readLimit + look.known, bytesMax: Limits.windowBytesMax,
                    skipping: look.skipping)
                return (due: due, next: try reading.nextDue(after: now))
            }
            loop.execute { [self] in dueRead(result) }
        }
    }

    private func dueRead(_ result: Result<(due: DueJobs, next: WallTime?), SpoolError>) {
        switch result {
        case .success(let read):
            window.loadedDue(read.due)
            if let next = read.next { noteDue(next) }
        case .failure(let error): readFailed(error) { [self] in window.lookFailed() }
        }
        pump()
    }
}

extension WaitingJob {
    /// A job straight from its submission. A small body is copied, so that it does not hold a whole read's buffer; a
    /// large one is left on disk.
    init(_ job: Submission, _ id: JobID, of chunk: Chunk) {
        let at = chunk.bytes.readerIndex + job.range.lowerBound
        let length = job.range.count
        let body: ByteBuffer? =
            switch length {
            case (Limits.largeBodyBytes + 1)...: nil
            case 16_384... where length > chunk.bytes.readableBytes / 2: chunk.bytes.getSlice(at: at, length: length)
            default: chunk.bytes.viewBytes(at: at, length: length).map { ByteBuffer(bytes: $0) }
            }
        self.init(
            id: id, state: .ready, kind: job.kind, priority: job.priority, uid: chunk.uid, queue: job.queue,
            attempts: 0,
            attemptsMax: job.attemptsMax, expiresAt: job.expiresAt, readyAt: id.time, fates: nil,
            isKeyed: job.key != nil, body: body ?? ByteBuffer(), length: length)
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
