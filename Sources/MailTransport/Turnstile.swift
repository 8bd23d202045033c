// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailJob

/// Which of a kind's jobs may begin now: so many at a time, so that workers are left for other kinds, and of those that
/// need a place which is away (a server, a program) one alone, which finds out.
///
/// A value without I/O. Who may not begin is told when to come again, at a bounded rate, and waits on disk. Times are
/// monotonic seconds.
package struct Turnstile {
    package enum Entry: Equatable {
        /// It must `leave`. `isProbe`: it is the one that finds out.
        case open(isProbe: Bool)
        /// After so many seconds it may ask again.
        case shut(seconds: Double, cause: Reply)
    }

    /// What the others may want to hear.
    package enum News: Equatable {
        case away(seconds: Double)
        case back
    }

    private struct Place {
        var breaker = Breaker()
        var inHand = 0
        var room = WaitingRoom()
    }

    /// Places that are remembered: names come from outside.
    static let placesMax = 4096
    /// A place that is busy is asked again after so long.
    static let patienceSeconds = 0.5

    /// Jobs at a time, all places together.
    package var limit: Int
    package private(set) var inHand = 0
    private var places: [String: Place] = [:]
    private var room = WaitingRoom()
    private var pace = Pace()

    package init(limit: Int) { self.limit = limit }

    /// - Parameter most: jobs at a time for this place; one is left to the others where it says nothing.
    package mutating func enter(_ name: String, atMost most: Int? = nil, at now: Double) -> Entry {
        var place = places[name] ?? Place()
        guard inHand < limit, place.inHand < most ?? max(1, limit - 1) else {
            let rate = max(WaitingRoom.returnsMax, 2 * pace.lastSecond(at: now))
            let due = room.next(notBefore: now + Self.patienceSeconds, rate: rate, at: now)
            return .shut(seconds: due - now, cause: Reply(0, "", "as many jobs as may be are under way"))
        }
        let entry = place.breaker.admit(at: now)
        if case .wait(let seconds) = entry {
            let earliest = now + max(seconds, Self.patienceSeconds)
            let due = place.room.next(notBefore: earliest, rate: WaitingRoom.returnsMax, at: now)
            places[name] = place
            return .shut(seconds: due - now, cause: place.breaker.cause ?? Reply(0, "", "it is away"))
        }
        place.inHand += 1
        inHand += 1
        remember(place, as: name, at: now)
        return .open(isProbe: entry == .probe)
    }

    /// - Parameters:
    ///   - trouble: nothing came about with the place, and why; nil where it has answered, whatever it said.
    ///   - chance: 0 up to 1, for the jitter of probes.
    package mutating func leave(
        _ name: String, isProbe: Bool, trouble: Reply?, at now: Double, chance: Double
    ) -> News? {
        inHand -= 1
        pace.count(at: now)
        guard var place = places[name] else { return nil }
        place.inHand -= 1
        defer { remember(place, as: name, at: now) }
        guard let trouble else {
            guard place.breaker.succeeded() else { return nil }
            place.room.reopen(at: now)
            return .back
        }
        guard place.breaker.failed(trouble, wasProbe: isProbe, at: now, chance: chance) else { return nil }
        return .away(seconds: (place.breaker.probeAt ?? now) - now)
    }

    /// A place of which there is nothing to say is forgotten, and so is all that may be where there are too many.
    private mutating func remember(_ place: Place, as name: String, at now: Double) {
        let isPlain = place.inHand == 0 && place.breaker.state == .closed
        places[name] = isPlain ? nil : place
        guard places.count > Self.placesMax else { return }
        places = places.filter { $0.value.inHand > 0 }
    }
}
