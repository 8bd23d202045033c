// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import Synchronization

/// Who watches what happens. While nobody does, an event costs one look at a number.
package final class Watchers: Sendable {
    private let count = Atomic<Int>(0)
    private let all = Mutex<[Watcher]>([])

    /// More operators do not look at one daemon at a time; each costs every event.
    package static let countMax = 64

    var isOn: Bool { count.load(ordering: .relaxed) > 0 }

    /// Events that happen from here on are kept for it, until `remove`. nil where too many watch already.
    /// - Parameter wake: called on any thread when there is something to take, once until it was taken.
    package func add(_ filter: WatchFilter, wake: @escaping @Sendable () -> Void) -> Watcher? {
        all.withLock { watchers in
            guard watchers.count < Self.countMax else { return nil }
            let watcher = Watcher(filter, wake: wake)
            watchers.append(watcher)
            count.store(watchers.count, ordering: .relaxed)
            return watcher
        }
    }

    package func remove(_ watcher: Watcher) {
        all.withLock { watchers in
            watchers.removeAll { $0 === watcher }
            count.store(watchers.count, ordering: .relaxed)
        }
    }

    /// `event` is asked for only where somebody watches.
    func tell(_ event: () -> WatchedEvent) {
        guard isOn else { return }
        let event = event()
        for watcher in all.withLock({ $0 }) { watcher.tell(event) }
    }
}

/// Events that one watcher has not taken yet: bounded, so that a slow one misses some instead of filling the memory.
package final class Watcher: Sendable {
    private let filter: WatchFilter
    private let wake: @Sendable () -> Void
    private let box = Mutex(Box())

    private struct Box {
        var events: [WatchedEvent] = []
        var weight = 0
        var missed = 0
        var isAwake = false
    }

    /// Events, counting each recipient of one as another: a second of a busy daemon.
    package static let weightMax = 16_384

    init(_ filter: WatchFilter, wake: @escaping @Sendable () -> Void) {
        self.filter = filter
        self.wake = wake
    }

    func tell(_ event: WatchedEvent) {
        guard filter.takes(event) else { return }
        let mustWake = box.withLock { box in
            defer { box.isAwake = true }
            if box.weight + event.weight > Self.weightMax {
                box.missed += 1
            } else {
                box.events.append(event)
                box.weight += event.weight
            }
            return !box.isAwake
        }
        if mustWake { wake() }
    }

    /// What has gathered, oldest first, and how many were missed behind these. Nothing: it will be woken.
    package func take() -> (events: [WatchedEvent], missed: Int) {
        box.withLock { box in
            let taken = (box.events, box.missed)
            box = Box()
            box.isAwake = !taken.0.isEmpty || taken.1 > 0
            return taken
        }
    }
}
