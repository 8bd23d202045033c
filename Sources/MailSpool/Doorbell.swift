// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import Glibc
import Synchronization

/// A letter box with a bell: many threads put work in, one thread takes it all out at once and sleeps in between.
package final class Doorbell<Work>: @unchecked Sendable {
    // pthread's own pair, because a condition must wait with a time limit.
    private let mutex = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
    private let condition = UnsafeMutablePointer<pthread_cond_t>.allocate(capacity: 1)
    private var work: Work
    private var isEmpty = true
    private var isWaiting = false
    /// The same as `!isEmpty`, for whoever looks without the lock.
    private let hasWork = Atomic<Bool>(false)

    package init(_ empty: Work) {
        work = empty
        mutex.initialize(to: pthread_mutex_t())
        condition.initialize(to: pthread_cond_t())
        pthread_mutex_init(mutex, nil)
        var attributes = pthread_condattr_t()
        pthread_condattr_init(&attributes)
        pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC)
        pthread_cond_init(condition, &attributes)
        pthread_condattr_destroy(&attributes)
    }

    deinit {
        pthread_cond_destroy(condition)
        pthread_mutex_destroy(mutex)
        condition.deallocate()
        mutex.deallocate()
    }

    /// Rings only if the other side sleeps: a system call saved for every put while it is busy.
    package func put(_ add: (inout Work) -> Void) {
        pthread_mutex_lock(mutex)
        add(&work)
        isEmpty = false
        hasWork.store(true, ordering: .releasing)
        let ring = isWaiting
        isWaiting = false
        pthread_mutex_unlock(mutex)
        if ring { pthread_cond_signal(condition) }
    }

    /// Swaps what has gathered for `empty`, once there is something or `seconds` have passed (nil: however long; 0: at
    /// once).
    /// - Parameter awake: for so many seconds of these the thread does not sleep, and gives way to whoever wants its
    ///   processor: waking it would take as long as what it has to do.
    package func takeAll(leaving empty: Work, within seconds: Double?, awake: Double = 0) -> Work {
        gaveWaySeconds = 0
        if awake > 0, seconds != 0 { lookOut(for: min(awake, seconds ?? awake)) }
        pthread_mutex_lock(mutex)
        defer { pthread_mutex_unlock(mutex) }
        var deadline = timespec()
        if let seconds { deadline = Self.deadline(in: seconds) }
        while isEmpty, seconds != 0 {
            isWaiting = true
            let result =
                seconds == nil
                ? pthread_cond_wait(condition, mutex) : pthread_cond_timedwait(condition, mutex, &deadline)
            if result == ETIMEDOUT { break }
        }
        isWaiting = false
        isEmpty = true
        hasWork.store(false, ordering: .relaxed)
        let taken = work
        work = empty
        return taken
    }

    /// The longest that others had the processor while this thread was awake for work, the last time it was: past
    /// microseconds, they want it. On the taking side.
    package private(set) var gaveWaySeconds = 0.0

    private func lookOut(for seconds: Double) {
        var now = Self.monotonic()
        let end = now + seconds
        while !hasWork.load(ordering: .acquiring), now < end {
            let before = now
            sched_yield()
            now = Self.monotonic()
            gaveWaySeconds = max(gaveWaySeconds, now - before)
        }
    }

    private static func monotonic() -> Double {
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC, &time)
        return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
    }

    private static func deadline(in seconds: Double) -> timespec {
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC, &time)
        let nanoseconds = time.tv_nsec + Int(seconds.truncatingRemainder(dividingBy: 1) * 1e9)
        time.tv_sec += Int(seconds) + nanoseconds / 1_000_000_000
        time.tv_nsec = nanoseconds % 1_000_000_000
        return time
    }
}
