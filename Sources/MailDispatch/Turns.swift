// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailJob

/// How a queue is served beside the others of the same priority.
package struct QueueRule: Equatable, Sendable {
    /// Its share, as against the other queues' weights.
    package var weight = 1.0
    /// Jobs at a time; nil: as many as there are workers.
    package var concurrencyMax: Int?
    package var isPaused = false

    package init(weight: Double = 1, concurrencyMax: Int? = nil, isPaused: Bool = false) {
        self.weight = weight
        self.concurrencyMax = concurrencyMax
        self.isPaused = isPaused
    }
}

/// Whose turn it is: the highest priority first; within it each queue by its weight; within a queue each user in turn.
///
/// A value that knows lanes by their number alone. Stride scheduling (Waldspurger and Weihl, 1995): whoever was given
/// least so far, divided by weight, is next. Who comes to a line that is under way starts level with it, so that nobody
/// saves up turns by being away, or by being kept from running.
package struct Turns {
    /// A queue at one priority.
    private struct Line {
        let priority: UInt8
        let queue: UInt16
        var pass = 0.0
        /// Lanes that have jobs at hand, with what each was given.
        var lanes: [(number: Int, pass: Double)] = []
        /// The pass of the lane that was last served.
        var level = 0.0

        /// The place of the lane that was given least.
        func least(_ mayTake: ((Int) -> Bool)?) -> Int? {
            var least: Int?
            for place in lanes.indices {
                if let found = least, lanes[found].pass <= lanes[place].pass { continue }
                if let mayTake, !mayTake(lanes[place].number) { continue }
                least = place
            }
            return least
        }
    }

    /// Those that ever had jobs, the highest priority first.
    private var lines: [Line] = []
    /// By priority: the pass of the line that was last served.
    private var levels = [Double](repeating: 0, count: Limits.priorityMax + 1)
    private var running: [UInt16: Int] = [:]
    package var rules: [UInt16: QueueRule] = [:]

    package init() {}

    /// The lane has jobs at hand, and had none before.
    package mutating func arrived(_ number: Int, _ lane: Lane, pass: Double) {
        let index = lineIndex(lane)
        if lines[index].lanes.isEmpty { lines[index].pass = max(lines[index].pass, levels[Int(lane.priority)]) }
        lines[index].lanes.append((number, max(pass, lines[index].level)))
    }

    /// The lane has no more jobs at hand. Returns what it was given, for when it comes again.
    package mutating func left(_ number: Int, _ lane: Lane) -> Double {
        let index = lineIndex(lane)
        guard let place = lines[index].lanes.firstIndex(where: { $0.number == number }) else { return 0 }
        return lines[index].lanes.remove(at: place).pass
    }

    private mutating func lineIndex(_ lane: Lane) -> Int {
        if let index = lines.firstIndex(where: { $0.priority == lane.priority && $0.queue == lane.queue }) {
            return index
        }
        let index = lines.firstIndex { $0.priority < lane.priority } ?? lines.endIndex
        lines.insert(Line(priority: lane.priority, queue: lane.queue), at: index)
        return index
    }

    /// The number of the lane that is next, with its turn taken; nil where none has jobs that may run.
    /// - Parameter mayTake: whether the next job of a lane may be begun at all.
    package mutating func next(where mayTake: ((Int) -> Bool)? = nil) -> Int? {
        guard let chosen = choose(mayTake) else { return nil }
        levels[Int(lines[chosen.line].priority)] = lines[chosen.line].pass
        if chosen.hasBlocked { level(with: lines[chosen.line]) }
        return serve(chosen.line, chosen.place)
    }

    /// The lane whose turn it is.
    package var upcoming: Int? { choose(nil).map { lines[$0.line].lanes[$0.place].number } }

    private func choose(_ mayTake: ((Int) -> Bool)?) -> (line: Int, place: Int, hasBlocked: Bool)? {
        var best: Int?
        var hasBlocked = false
        for index in lines.indices {
            if let best, lines[index].priority < lines[best].priority { break }
            guard !lines[index].lanes.isEmpty else { continue }
            guard mayRun(lines[index].queue) else {
                hasBlocked = true
                continue
            }
            if let found = best, lines[found].pass <= lines[index].pass { continue }
            if let mayTake, !lines[index].lanes.contains(where: { mayTake($0.number) }) { continue }
            best = index
        }
        return best.flatMap { line in lines[line].least(mayTake).map { (line, $0, hasBlocked) } }
    }

    /// Queues that may not run keep level with the one that is served: what was paused for an hour would otherwise be
    /// given an hour's turns at once.
    private mutating func level(with served: Line) {
        for index in lines.indices where lines[index].priority == served.priority && !mayRun(lines[index].queue) {
            lines[index].pass = max(lines[index].pass, served.pass)
        }
    }

    private mutating func serve(_ line: Int, _ place: Int) -> Int {
        let queue = lines[line].queue
        lines[line].pass += 1 / max(0.001, rules[queue]?.weight ?? 1)
        running[queue, default: 0] += 1
        lines[line].level = lines[line].lanes[place].pass
        lines[line].lanes[place].pass += 1
        return lines[line].lanes[place].number
    }

    func isPaused(_ queue: UInt16) -> Bool { !rules.isEmpty && rules[queue]?.isPaused == true }

    func mayRun(_ queue: UInt16) -> Bool {
        guard let rule = rules[queue] else { return true }
        guard !rule.isPaused else { return false }
        return rule.concurrencyMax.map { running[queue, default: 0] < $0 } ?? true
    }

    /// A job that `next` let go has ended, or was not begun after all.
    package mutating func ended(_ queue: UInt16) { running[queue, default: 1] -= 1 }

    package func running(_ queue: UInt16) -> Int { running[queue] ?? 0 }
}
