// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailIntake
import Testing

@Suite("What large lines may hold")
struct ReadingBudgetTests {
    private final class Someone {}

    @Test("shares are as long as the longest line, and given in turn")
    func turns() {
        let people = (0..<4).map { _ in Someone() }
        let names = people.map { ObjectIdentifier($0) }
        var budget = ReadingBudget(bytesMax: 250, lineBytesMax: 100)
        #expect(budget.isUnused)
        #expect(budget.take(for: names[0]) == 100)
        #expect(budget.take(for: names[1]) == 100)
        #expect(budget.take(for: names[2]) == nil)
        #expect(budget.take(for: names[3]) == nil)
        #expect(budget.next == nil)
        #expect(budget.release(100) == names[2])
        #expect(budget.take(for: names[3]) == nil, "it is not its turn")
        #expect(budget.take(for: names[2]) == 100)
        #expect(budget.forget(names[1], holding: 100) == names[3])
        #expect(budget.take(for: names[3]) == 100)
        #expect(budget.release(100) == nil)
        #expect(budget.release(100) == nil)
        #expect(budget.isUnused)
    }

    @Test("who goes away while waiting leaves its turn to the next")
    func leaves() {
        let people = (0..<3).map { _ in Someone() }
        let names = people.map { ObjectIdentifier($0) }
        var budget = ReadingBudget(bytesMax: 100, lineBytesMax: 100)
        #expect(budget.take(for: names[0]) == 100)
        #expect(budget.take(for: names[1]) == nil)
        #expect(budget.take(for: names[2]) == nil)
        #expect(budget.release(100) == names[1])
        #expect(budget.forget(names[1], holding: 0) == names[2])
        #expect(budget.take(for: names[2]) == 100)
    }

    @Test("two shares that become free at once are known to be free for the two who wait")
    func twoFree() {
        let people = (0..<4).map { _ in Someone() }
        let names = people.map { ObjectIdentifier($0) }
        var budget = ReadingBudget(bytesMax: 200, lineBytesMax: 100)
        for name in names { _ = budget.take(for: name) }
        #expect(budget.release(100) == names[2])
        #expect(budget.release(100) == names[2])
        #expect(budget.take(for: names[2]) == 100)
        #expect(budget.next == names[3])
    }

    @Test("one line always fits")
    func oneFits() {
        let someone = Someone()
        var budget = ReadingBudget(bytesMax: 10, lineBytesMax: 100)
        #expect(budget.take(for: ObjectIdentifier(someone)) == 100)
    }

    @Test("everybody is served, and the bound holds, whatever the order of coming and going", arguments: 1...30)
    func seeded(seed: Int) {
        var random = Seeded(seed)
        let people = (0..<12).map { _ in Someone() }
        let names = people.map { ObjectIdentifier($0) }
        var budget = ReadingBudget(bytesMax: 350, lineBytesMax: 100)
        var holding: Set<ObjectIdentifier> = []
        var waiting: [ObjectIdentifier] = []
        /// As the intake does: who is named asks, and names the next.
        func wake(_ name: ObjectIdentifier?) {
            guard let name else { return }
            #expect(name == waiting.first)
            guard budget.take(for: name) == 100 else { return }
            waiting.removeFirst()
            holding.insert(name)
            wake(budget.next)
        }
        for _ in 0..<2000 {
            let name = names[Int.random(in: 0..<names.count, using: &random)]
            if holding.contains(name) {
                holding.remove(name)
                wake(Bool.random(using: &random) ? budget.release(100) : budget.forget(name, holding: 100))
            } else if waiting.contains(name) {
                if Int.random(in: 0..<4, using: &random) == 0 {
                    waiting.removeAll { $0 == name }
                    wake(budget.forget(name, holding: 0))
                }
            } else if budget.take(for: name) == 100 {
                holding.insert(name)
            } else {
                waiting.append(name)
            }
            #expect(holding.count <= 3)
            #expect(waiting.isEmpty || holding.count == 3, "room is never left to nobody")
        }
        while let name = holding.first {
            holding.remove(name)
            wake(budget.release(100))
        }
        #expect(waiting.isEmpty && budget.isUnused)
    }
}
