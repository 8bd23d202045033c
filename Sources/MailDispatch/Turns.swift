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
/// saves up turns by being away.
struct Turns {
    /// A queue at one priority.
    private struct Line {
        let priority: UInt8
        let queue: UInt16
        var pass = 0.0
        /// Lanes that have jobs at hand, with what each was given.
        var lanes: [(number: Int, pass: Double)] = []
        /// The pass of the lane that was last served.
        var level = 0.0
    }

    /// Those that ever had jobs, the highest priority first.
    private var lines: [Line] = []
    /// By priority: the pass of the line that was last served.
    private var levels = [Double](repeating: 0, count: Limits.priorityMax + 1)
    private var running: [UInt16: Int] = [:]
    var rules: [UInt16: QueueRule] = [:]

    /// The lane has jobs at hand, and had none before.
    mutating func arrived(_ number: Int, _ lane: Lane, pass: Double) {
        let index = lineIndex(lane)
        if lines[index].lanes.isEmpty { lines[index].pass = max(lines[index].pass, levels[Int(lane.priority)]) }
        lines[index].lanes.append((number, max(pass, lines[index].level)))
    }

    /// The lane has no more jobs at hand. Returns what it was given, for when it comes again.
    mutating func left(_ number: Int, _ lane: Lane) -> Double {
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
    mutating func next() -> Int? {
        var best: Int?
        for index in lines.indices {
            if let best, lines[index].priority < lines[best].priority { break }
            guard !lines[index].lanes.isEmpty, mayRun(lines[index].queue) else { continue }
            if let found = best, lines[found].pass <= lines[index].pass { continue }
            best = index
        }
        return best.map { serve($0) }
    }

    private mutating func serve(_ index: Int) -> Int {
        let queue = lines[index].queue
        levels[Int(lines[index].priority)] = lines[index].pass
        lines[index].pass += 1 / max(0.001, rules[queue]?.weight ?? 1)
        running[queue, default: 0] += 1
        var least = 0
        for place in lines[index].lanes.indices where lines[index].lanes[place].pass < lines[index].lanes[least].pass {
            least = place
        }
        lines[index].level = lines[index].lanes[least].pass
        lines[index].lanes[least].pass += 1
        return lines[index].lanes[least].number
    }

    func mayRun(_ queue: UInt16) -> Bool {
        guard let rule = rules[queue] else { return true }
        guard !rule.isPaused else { return false }
        return rule.concurrencyMax.map { running[queue, default: 0] < $0 } ?? true
    }

    /// A job that `next` let go has ended, or was not begun after all.
    mutating func ended(_ queue: UInt16) { running[queue, default: 1] -= 1 }

    func running(_ queue: UInt16) -> Int { running[queue] ?? 0 }
}
