// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import Glibc

/// The lines between those who log and the thread that writes: bytes behind a lock, and two bells.
///
/// `@unchecked Sendable`: every stored variable is touched only between `lock` and `unlock`.
final class PendingLines: @unchecked Sendable {
    /// What the writing thread does, so that a bell is rung only where it is heard.
    private enum Writer { case writing, asleep, gathering }

    /// A waking of the writer costs more than ten lines do, and whoever logs pays for it; nobody misses a line for so
    /// long.
    private static let gatherNanoseconds = 10_000_000

    private let mutex: UnsafeMutablePointer<pthread_mutex_t> = .allocate(capacity: 1)
    private let work: UnsafeMutablePointer<pthread_cond_t> = .allocate(capacity: 1)
    private let written: UnsafeMutablePointer<pthread_cond_t> = .allocate(capacity: 1)
    private let bytesMax: Int
    private var line: JournalLine
    private var writer = Writer.writing
    /// Since the last taking, and before it.
    private var dropped = 0
    private var droppedBefore = 0
    private var urgent = false
    private var closed = false
    /// Chunks taken by the writer, and of these written.
    private var chunksTaken = 0
    private var chunksWritten = 0

    init(fieldPrefix: String, bytesMax: Int) {
        self.bytesMax = bytesMax
        line = JournalLine(fieldPrefix: fieldPrefix)
        pthread_mutex_init(mutex, nil)
        var attributes = pthread_condattr_t()
        pthread_condattr_init(&attributes)
        // The wall clock may be set while we wait.
        pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC)
        pthread_cond_init(work, &attributes)
        pthread_cond_init(written, &attributes)
        pthread_condattr_destroy(&attributes)
    }

    deinit {
        pthread_cond_destroy(work)
        pthread_cond_destroy(written)
        pthread_mutex_destroy(mutex)
        work.deallocate()
        written.deallocate()
        mutex.deallocate()
    }

    func append(_ priority: Priority, _ compose: (inout JournalLine) -> Void) {
        var now = timespec()
        clock_gettime(CLOCK_REALTIME, &now)
        pthread_mutex_lock(mutex)
        defer { pthread_mutex_unlock(mutex) }
        guard line.bytes.count < bytesMax else {
            dropped += 1
            return
        }
        line.beginRecord(priority, nanoseconds: Int64(now.tv_sec) * 1_000_000_000 + Int64(now.tv_nsec))
        compose(&line)
        line.endRecord()
        ring(urgently: priority <= .warning || line.bytes.count > bytesMax / 4)
    }

    private func ring(urgently: Bool) {
        urgent = urgent || urgently
        if writer == .asleep || (writer == .gathering && urgent) { pthread_cond_signal(work) }
    }

    var droppedTotal: Int {
        pthread_mutex_lock(mutex)
        defer { pthread_mutex_unlock(mutex) }
        return droppedBefore + dropped
    }

    func close() {
        pthread_mutex_lock(mutex)
        closed = true
        pthread_cond_signal(work)
        pthread_mutex_unlock(mutex)
    }

    func flush(secondsMax: Double) -> Bool {
        let deadline = Self.deadline(nanoseconds: Int(secondsMax * 1e9))
        pthread_mutex_lock(mutex)
        defer { pthread_mutex_unlock(mutex) }
        let wanted = chunksTaken + (line.bytes.isEmpty && dropped == 0 ? 0 : 1)
        urgent = true
        if writer != .writing { pthread_cond_signal(work) }
        while chunksWritten < wanted {
            guard wait(written, until: deadline) else { return chunksWritten >= wanted }
        }
        return true
    }

    /// The writer's side: all lines so far, in exchange for the bytes that it has written; nil at the end.
    func take(_ used: [UInt8]) -> (records: [UInt8], dropped: Int)? {
        pthread_mutex_lock(mutex)
        defer { pthread_mutex_unlock(mutex) }
        chunksWritten = chunksTaken
        pthread_cond_broadcast(written)
        waitForWork()
        guard !line.bytes.isEmpty || dropped > 0 else { return nil }
        let taken = (line.bytes, dropped)
        line.bytes = used
        droppedBefore += dropped
        dropped = 0
        urgent = false
        chunksTaken += 1
        return taken
    }

    /// It sleeps for good only once nothing has come for a while, so that under a steady load nobody has to wake it.
    private func waitForWork() {
        gather()
        if line.bytes.isEmpty && dropped == 0 {
            writer = .asleep
            while line.bytes.isEmpty && dropped == 0 && !closed { pthread_cond_wait(work, mutex) }
            gather()
        }
        writer = .writing
    }

    private func gather() {
        writer = .gathering
        let deadline = Self.deadline(nanoseconds: Self.gatherNanoseconds)
        while !urgent && !closed { guard wait(work, until: deadline) else { break } }
    }

    /// False once the deadline has passed.
    private func wait(_ bell: UnsafeMutablePointer<pthread_cond_t>, until deadline: timespec) -> Bool {
        var deadline = deadline
        return pthread_cond_timedwait(bell, mutex, &deadline) != ETIMEDOUT
    }

    private static func deadline(nanoseconds: Int) -> timespec {
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC, &time)
        let sum = time.tv_nsec + nanoseconds
        time.tv_sec += sum / 1_000_000_000
        time.tv_nsec = sum % 1_000_000_000
        return time
    }
}
