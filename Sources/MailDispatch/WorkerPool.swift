// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailJob

/// The numbered places in which jobs are worked on.
///
/// A value without I/O. A place is free, busy or retired; the lowest free number is taken first, so that numbers stay
/// low and stable. Growing takes effect at once; shrinking retires free places at once and busy ones when they end.
package struct WorkerPool {
    package struct Place: Sendable {
        package var job: JobID?
        package var kind: UInt8 = 0
        package var queue: UInt16 = 0
        /// Monotonic seconds at which the present state began.
        package var since: Double
    }

    package private(set) var places: [Place]
    package private(set) var target: Int
    package private(set) var busy = 0
    /// Free numbers below the target, the lowest last.
    private var free: [Int]

    package init(target: Int, now: Double) {
        self.target = target
        places = (0..<target).map { _ in Place(since: now) }
        free = (0..<target).reversed()
    }

    package var hasFree: Bool { !free.isEmpty }

    package var busyByClass: [JobClass: Int] {
        var jobs: [JobClass: Int] = [:]
        for place in places where place.job != nil { jobs[JobClass(place.queue, place.kind), default: 0] += 1 }
        return jobs
    }

    package mutating func begin(_ job: JobID, kind: UInt8, queue: UInt16 = 0, now: Double) -> Int? {
        guard let number = free.popLast() else { return nil }
        places[number] = Place(job: job, kind: kind, queue: queue, since: now)
        busy += 1
        return number
    }

    package mutating func end(_ number: Int, now: Double) {
        busy -= 1
        places[number] = Place(job: nil, since: now)
        if number < target { putBack(number) } else { trim() }
    }

    package mutating func scale(to count: Int, now: Double) {
        target = count
        while places.count < count { places.append(Place(since: now)) }
        free = places.indices.filter { $0 < count && places[$0].job == nil }.reversed()
        trim()
    }

    /// Keeps `free` sorted with the lowest last; it is nearly always there already.
    private mutating func putBack(_ number: Int) {
        var index = free.endIndex
        while index > 0, free[index - 1] < number { index -= 1 }
        free.insert(number, at: index)
    }

    private mutating func trim() {
        while places.count > target, places.last?.job == nil { places.removeLast() }
    }
}
