// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import Glibc

/// A letter box with a bell: many threads put work in, one thread takes it all out at once and sleeps in between.
package final class Doorbell<Work>: @unchecked Sendable {
    // pthread's own pair, because a condition must wait with a time limit.
    private let mutex = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
    private let condition = UnsafeMutablePointer<pthread_cond_t>.allocate(capacity: 1)
    private var work: Work
    private var isEmpty = true
    private var isWaiting = false
    /// Somebody does the sleeper's work in its place.
    private var hasStandIn = false
    /// The sleeper should look about once nobody stands in for it.
    private var isWanted = false

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
        // Whoever stands in rings when it is done.
        let ring = isWaiting && !hasStandIn
        if ring { isWaiting = false }
        pthread_mutex_unlock(mutex)
        if ring { pthread_cond_signal(condition) }
    }

    /// Runs `body` on this thread in the sleeper's place, with all that is the sleeper's own: it does not wake before
    /// `body` has returned.
    /// - Parameter body: returns whether the sleeper is to look about afterwards, as after a time that was too long.
    /// - Returns: false where it does not sleep, or has work to wake for: nothing was done.
    package func standIn(_ body: () -> Bool) -> Bool {
        pthread_mutex_lock(mutex)
        let isFree = isWaiting && isEmpty && !hasStandIn
        if isFree { hasStandIn = true }
        pthread_mutex_unlock(mutex)
        guard isFree else { return false }
        let wantsSleeper = body()
        pthread_mutex_lock(mutex)
        hasStandIn = false
        let ring = wantsSleeper || isWanted || !isEmpty
        if ring { (isWaiting, isWanted) = (false, true) }
        pthread_mutex_unlock(mutex)
        if ring { pthread_cond_signal(condition) }
        return true
    }

    /// Swaps what has gathered for `empty`, once there is something or `seconds` have passed (nil: however long; 0: at
    /// once).
    package func takeAll(leaving empty: Work, within seconds: Double?) -> Work {
        pthread_mutex_lock(mutex)
        defer { pthread_mutex_unlock(mutex) }
        var deadline = timespec()
        if let seconds { deadline = Self.deadline(in: seconds) }
        while hasStandIn || (isEmpty && !isWanted && seconds != 0) {
            isWaiting = true
            let result =
                seconds == nil || isWanted
                ? pthread_cond_wait(condition, mutex) : pthread_cond_timedwait(condition, mutex, &deadline)
            if result == ETIMEDOUT { isWanted = true }
        }
        isWanted = false
        isWaiting = false
        isEmpty = true
        let taken = work
        work = empty
        return taken
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
