// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailDispatch
import MailJob
import Testing

/// Lanes that never run out of jobs, served one turn after the other; each job ends at once.
private struct Line {
    var turns = Turns()
    private var lanes: [Int: Lane] = [:]
    private var passes: [Int: Double] = [:]

    mutating func arrive(_ number: Int, priority: UInt8 = 4, queue: UInt16 = 0, uid: UInt32 = 0) {
        let lane = Lane(priority: priority, queue: queue, uid: uid)
        lanes[number] = lane
        turns.arrived(number, lane, pass: passes[number] ?? 0)
    }

    mutating func leave(_ number: Int) {
        if let lane = lanes[number] { passes[number] = turns.left(number, lane) }
    }

    /// The lanes that were served, in order.
    mutating func serve(_ count: Int) -> [Int] {
        (0..<count).compactMap { _ in
            guard let number = turns.next() else { return nil }
            if let lane = lanes[number] { turns.ended(lane.queue) }
            return number
        }
    }

    /// How many turns each lane was given.
    mutating func counts(_ count: Int) -> [Int: Int] { Dictionary(serve(count).map { ($0, 1) }, uniquingKeysWith: +) }
}

@Suite("Whose turn it is")
struct TurnsTests {
    @Test("where nobody waits it is nobody's")
    func nobody() {
        var line = Line()
        #expect(line.serve(1) == [])
        line.arrive(0)
        line.leave(0)
        #expect(line.serve(1) == [])
    }

    @Test("a higher priority goes first, whatever the weights and however long")
    func priority() {
        var line = Line()
        line.turns.rules = [1: QueueRule(weight: 1000), 2: QueueRule(weight: 0.001)]
        line.arrive(0, priority: 3, queue: 1)
        line.arrive(1, priority: 5, queue: 2)
        #expect(line.counts(5000) == [1: 5000])
        line.leave(1)
        #expect(line.serve(2) == [0, 0])
    }

    @Test("users of a queue go in turn, however many queues there are")
    func users() {
        var line = Line()
        for number in 0..<6 { line.arrive(number, queue: UInt16(number % 2), uid: UInt32(number / 2)) }
        #expect(line.counts(600) == Dictionary(uniqueKeysWithValues: (0..<6).map { ($0, 100) }))
        let round = line.serve(6)
        #expect(Set(round).count == 6, "each once in a round")
    }

    static let weights: [([Double], [Int])] = [
        ([1, 1], [50, 50]), ([3, 1], [75, 25]), ([1, 2, 7], [10, 20, 70]), ([0.5, 1.5], [25, 75]),
        ([0.001, 1], [0, 100]), ([1000, 1], [100, 0]),
    ]

    @Test("queues share by weight, to within one turn each", arguments: weights)
    func weighted(_ weights: [Double], _ expected: [Int]) {
        var line = Line()
        for (queue, weight) in weights.enumerated() {
            line.turns.rules[UInt16(queue)] = QueueRule(weight: weight)
            line.arrive(queue, queue: UInt16(queue))
        }
        let counts = line.counts(100)
        for (queue, wanted) in expected.enumerated() { #expect(abs((counts[queue] ?? 0) - wanted) <= 1) }
    }

    @Test("many users do not give their queue more than its weight")
    func usersDoNotAddUp() {
        var line = Line()
        for number in 0..<50 { line.arrive(number, queue: 1, uid: UInt32(number)) }
        line.arrive(50, queue: 2)
        #expect(line.counts(100)[50] == 50)
    }

    @Test("who comes to a line that is under way is next but one at the latest, and is given no more than its share")
    func newcomer() {
        for queue: UInt16 in [0, 1] {
            var line = Line()
            line.arrive(0, uid: 1)
            _ = line.serve(100_000)
            line.arrive(1, queue: queue, uid: 2)
            let served = line.serve(100)
            #expect(served.prefix(2).contains(1))
            #expect(abs(served.count { $0 == 1 } - 50) <= 1)
        }
    }

    @Test("who runs out of jobs after each and comes again has its share, and not more")
    func comesAndGoes() {
        for queue: UInt16 in [0, 1] {
            var line = Line()
            line.arrive(0, uid: 1)
            line.arrive(1, queue: queue, uid: 2)
            var counts = [0, 0]
            for _ in 0..<200 {
                let number = line.serve(1)[0]
                counts[number] += 1
                if number == 1 {
                    line.leave(1)
                    line.arrive(1, queue: queue, uid: 2)
                }
            }
            #expect(abs(counts[0] - counts[1]) <= 1)
        }
    }

    @Test("a paused queue is passed over, and has saved up nothing when it goes on")
    func paused() {
        var line = Line()
        for queue in 0..<3 { line.arrive(queue, queue: UInt16(queue)) }
        line.turns.rules[1] = QueueRule(isPaused: true)
        #expect(line.counts(3000)[1] == nil)
        line.turns.rules[1]?.isPaused = false
        let counts = line.counts(30)
        for queue in 0..<3 { #expect(abs((counts[queue] ?? 0) - 10) <= 1) }
    }

    @Test("a queue that pauses at the highest priority lets the next priority through")
    func pausedAbove() {
        var line = Line()
        line.arrive(0, priority: 9, queue: 1)
        line.arrive(1, priority: 2)
        line.turns.rules[1] = QueueRule(isPaused: true)
        #expect(line.serve(3) == [1, 1, 1])
        line.turns.rules = [:]
        #expect(line.serve(3) == [0, 0, 0])
    }

    @Test("no more of a queue run at a time than it may, at all priorities together")
    func concurrency() {
        var turns = Turns()
        turns.rules[1] = QueueRule(weight: 100, concurrencyMax: 2)
        for (number, priority) in [(0, UInt8(9)), (1, 4)] {
            turns.arrived(number, Lane(priority: priority, queue: 1, uid: 0), pass: 0)
        }
        turns.arrived(2, Lane(priority: 4, queue: 0, uid: 0), pass: 0)
        #expect((0..<4).map { _ in turns.next() } == [0, 0, 2, 2])
        #expect(turns.running(1) == 2 && turns.running(0) == 2)
        turns.ended(1)
        #expect(turns.next() == 0)
        #expect(turns.running(1) == 2)
    }

    @Test("a queue that was held to few at a time has saved up nothing when it may run more")
    func concurrencyRaised() {
        var turns = Turns()
        turns.rules[1] = QueueRule(concurrencyMax: 1)
        let lanes = [Lane(queue: 0, uid: 0), Lane(queue: 1, uid: 0)]
        for number in 0..<2 { turns.arrived(number, lanes[number], pass: 0) }
        // The one of queue 1 takes as long as all these.
        for _ in 0..<1000 { if turns.next() == 0 { turns.ended(0) } }
        #expect(turns.running(1) == 1)
        turns.rules = [:]
        let served = (0..<20).compactMap { _ in turns.next() }
        #expect(abs(served.count { $0 == 1 } - 10) <= 1)
    }

    @Test("whatever comes and goes, those who always have jobs get what their weight says", arguments: 1...20)
    func seeded(seed: Int) {
        var random = Seeded(seed)
        var line = Line()
        let weights = (0..<4).map { _ in Double(Int.random(in: 1...8, using: &random)) }
        for (queue, weight) in weights.enumerated() {
            line.turns.rules[UInt16(queue)] = QueueRule(weight: weight)
            line.arrive(queue, queue: UInt16(queue), uid: 0)
        }
        var counts = [Int](repeating: 0, count: 4)
        var guests: Set<Int> = []
        for _ in 0..<4000 {
            let guest = Int.random(in: 4..<12, using: &random)
            if guests.remove(guest) != nil {
                line.leave(guest)
            } else {
                guests.insert(guest)
                line.arrive(guest, queue: UInt16(guest % 4), uid: UInt32(guest))
            }
            counts[line.serve(1)[0] % 4] += 1
        }
        let shares = zip(counts, weights).map { Double($0) / $1 }
        let spread = (shares.max() ?? 0) - (shares.min() ?? 0)
        #expect(spread <= 2, "\(counts) for \(weights)")
    }
}
