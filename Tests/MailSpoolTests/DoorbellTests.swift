// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import Glibc
import MailSpool
import Synchronization
import Testing

@Suite(.timeLimit(.minutes(3)))
struct DoorbellTests {
    @Test("what gathered is taken at once, in order, and once")
    func gathers() {
        let bell = Doorbell<[Int]>([])
        for number in 0..<5 { bell.put { $0.append(number) } }
        #expect(bell.takeAll(leaving: [], within: nil) == [0, 1, 2, 3, 4])
        #expect(bell.takeAll(leaving: [], within: 0.01) == [])
    }

    @Test("a put that adds nothing wakes as well")
    func emptyPut() async throws {
        let bell = Doorbell<[Int]>([])
        async let taken = onThread { bell.takeAll(leaving: [], within: nil) }
        bell.put { _ in }
        #expect(try await taken == [])
    }

    @Test("waiting ends when the time is up, be it none, a fraction or just over a second")
    func timeLimit() {
        let bell = Doorbell<[Int]>([])
        for seconds in [0, 0.02, 1.01] {
            let began = Self.monotonic()
            #expect(bell.takeAll(leaving: [], within: seconds) == [])
            #expect(Self.monotonic() - began >= seconds)
        }
    }

    // MARK: Standing in

    /// Once the other side sleeps.
    private static func standIn(_ bell: Doorbell<[Int]>, _ body: () -> Bool) -> Bool {
        let end = monotonic() + patience
        while monotonic() < end {
            if bell.standIn(body) { return true }
            sched_yield()
        }
        return false
    }

    @Test("what comes while somebody stands in for the sleeper is taken once that is over")
    func standsIn() async throws {
        let bell = Doorbell<[Int]>([])
        let isOver = Flag()
        async let taken = onThread {
            let letters = bell.takeAll(leaving: [], within: Self.patience)
            return (letters, isOver.isRaised)
        }
        let hasStoodIn = try await onThread {
            Self.standIn(bell) {
                bell.put { $0.append(7) }
                // Time enough for a sleeper who is rung up too early.
                for _ in 0..<1000 { sched_yield() }
                isOver.raise()
                return false
            }
        }
        #expect(hasStoodIn)
        let (letters, wasOver) = try await taken
        #expect(letters == [7] && wasOver)
    }

    @Test("a sleeper who is wanted afterwards wakes with nothing, and one who is not sleeps on")
    func wanted() async throws {
        let bell = Doorbell<[Int]>([])
        async let taken = onThread { bell.takeAll(leaving: [], within: Self.patience) }
        let began = Self.monotonic()
        let stoodIn = try await onThread {
            [false, false, true].map { wantsSleeper in Self.standIn(bell) { wantsSleeper } }
        }
        #expect(stoodIn == [true, true, true])
        #expect(try await taken == [])
        #expect(Self.monotonic() - began < Self.patience)
    }

    @Test("a time that runs out while somebody stands in ends the sleep afterwards")
    func overdue() async throws {
        let bell = Doorbell<[Int]>([])
        let (seconds, isOver) = (1.0, Flag())
        async let wasOver = onThread {
            _ = bell.takeAll(leaving: [], within: seconds)
            return isOver.isRaised
        }
        let hasStoodIn = try await onThread {
            let began = Self.monotonic()
            return Self.standIn(bell) {
                while Self.monotonic() < began + seconds + 0.1 { sched_yield() }
                isOver.raise()
                return false
            }
        }
        #expect(hasStoodIn)
        #expect(try await wasOver)
    }

    @Test("nobody stands in for who does not sleep, has work, or is stood in for")
    func standsInForNobody() async throws {
        let bell = Doorbell<[Int]>([])
        #expect(!bell.standIn { true })
        async let taken = onThread { bell.takeAll(leaving: [], within: Self.patience) }
        let second = Flag()
        let hasStoodIn = try await onThread {
            Self.standIn(bell) {
                if bell.standIn({ true }) { second.raise() }
                return true
            }
        }
        #expect(hasStoodIn && !second.isRaised)
        #expect(try await taken == [])
        bell.put { $0.append(1) }
        #expect(!bell.standIn { true })
        #expect(bell.takeAll(leaving: [], within: nil) == [1])
    }

    private final class Flag: Sendable {
        private let value = Atomic(false)
        var isRaised: Bool { value.load(ordering: .acquiring) }
        func raise() { value.store(true, ordering: .releasing) }
    }

    /// What only one of the two may touch at a time.
    private final class Desk: @unchecked Sendable {
        var isTaken = false
        var overlaps = 0
        var done = 0

        func work() {
            if isTaken { overlaps += 1 }
            isTaken = true
            for _ in 0..<3 { sched_yield() }
            done += 1
            isTaken = false
        }
    }

    @Test("sleeper and those who stand in never work at once, and no letter is lost", arguments: [7, 8] as [UInt64])
    func oneAtATime(_ seed: UInt64) async throws {
        let (bell, desk, letters) = (Doorbell<[Int]>([]), Desk(), 5000)
        let senders = (0..<3).map { sender in
            { @Sendable () -> Int in
                var dice = Dice(state: seed &* 100 &+ UInt64(sender))
                var put = 0
                for number in 0..<letters {
                    let wantsSleeper = dice.chance(20)
                    let hasStoodIn =
                        dice.chance(50)
                        && bell.standIn {
                            desk.work()
                            return wantsSleeper
                        }
                    if !hasStoodIn {
                        bell.put { $0.append(number) }
                        put += 1
                    }
                    if dice.chance(3) { sched_yield() }
                }
                bell.put { $0.append(-1) }
                return put
            }
        }
        async let put = Self.all(senders)
        let taken = try await onThread {
            var (ends, taken) = (0, 0)
            while ends < 3 {
                let letters = bell.takeAll(leaving: [], within: Self.patience)
                desk.work()
                ends += letters.count { $0 < 0 }
                taken += letters.count { $0 >= 0 }
            }
            return taken
        }
        #expect(try await put.reduce(0, +) == taken, "seed \(seed)")
        #expect(desk.overlaps == 0, "seed \(seed)")
    }

    private static func monotonic() -> Double {
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC, &time)
        return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
    }

    struct Letter: Sendable {
        var sender: Int
        var number: Int
    }

    /// Far longer than any wake-up takes, and than other tests may hold up the senders: whoever waits so long was not
    /// woken.
    private static let patience = 100.0

    /// One sender alone notices each lost wake-up; of many, the next one's ring would make good for it.
    @Test(
        "no wake-up is lost between senders who each wait for their answer", arguments: [1, 2, 6], [1, 2] as [UInt64])
    func answered(_ count: Int, _ seed: UInt64) async throws {
        let rounds = 10_000 / count
        let bell = Doorbell<[Letter]>([])
        let answers = (0..<count).map { _ in Doorbell(0) }
        let asked = (0..<count).map { sender in
            { @Sendable () -> Int in
                var dice = Dice(state: seed &* 100 &+ UInt64(sender))
                for number in 0..<rounds {
                    for _ in 0..<Int.random(in: 0...3, using: &dice) { sched_yield() }
                    bell.put { $0.append(Letter(sender: sender, number: number)) }
                    guard answers[sender].takeAll(leaving: 0, within: Self.patience) == 1 else { return number }
                }
                return rounds
            }
        }
        async let answered = onThread {
            var left = rounds * answers.count
            while left > 0 {
                let letters = bell.takeAll(leaving: [], within: Self.patience)
                if letters.isEmpty { break }
                for letter in letters { answers[letter.sender].put { $0 += 1 } }
                left -= letters.count
            }
            return left
        }
        async let numbers = Self.all(asked)
        #expect(try await answered == 0, "seed \(seed)")
        #expect(try await numbers == [Int](repeating: rounds, count: count), "seed \(seed)")
    }

    @Test("letters of many senders arrive once each, and in each one's order", arguments: [4, 5, 6] as [UInt64])
    func flood(_ seed: UInt64) async throws {
        let letters = 20_000
        let bell = Doorbell<[Letter]>([])
        let senders = (0..<4).map { sender in
            { @Sendable () -> Int in
                var dice = Dice(state: seed &* 100 &+ UInt64(sender))
                for number in 0..<letters {
                    if dice.chance(5) { sched_yield() }
                    bell.put { $0.append(Letter(sender: sender, number: number)) }
                }
                return letters
            }
        }
        async let sent = Self.all(senders)
        let next = try await onThread {
            var next = [Int](repeating: 0, count: 4)
            while next.contains(where: { $0 < letters }) {
                let taken = bell.takeAll(leaving: [], within: Self.patience)
                if taken.isEmpty { break }
                for letter in taken {
                    // A letter out of its turn stops the count, and so the test.
                    if next[letter.sender] == letter.number { next[letter.sender] += 1 }
                }
            }
            return next
        }
        #expect(next == [Int](repeating: letters, count: 4), "seed \(seed)")
        #expect(try await sent.reduce(0, +) == 4 * letters)
    }

    /// Each on a thread of its own, all at the same time.
    private static func all(_ bodies: [@Sendable () -> Int]) async throws -> [Int] {
        try await withThrowingTaskGroup(of: (Int, Int).self) { group in
            for (index, body) in bodies.enumerated() {
                group.addTask { (index, try await onThread(body)) }
            }
            var results = [Int](repeating: -1, count: bodies.count)
            for try await (index, result) in group { results[index] = result }
            return results
        }
    }
}

@Suite(.timeLimit(.minutes(1)))
struct WorkerThreadTests {
    @Test("a thread bears its name, as far as the kernel takes it, and leaves signals to the main thread")
    func named() async throws {
        let found = Mutex<(name: String, blocked: [Bool])>(("", []))
        let thread = try WorkerThread(name: "a name of more than 15 bytes") {
            var mask = sigset_t()
            pthread_sigmask(SIG_BLOCK, nil, &mask)
            let name = TemporaryDirectory.read("/proc/thread-self/comm") ?? []
            let blocked = [SIGTERM, SIGINT, SIGHUP, SIGPIPE].map { sigismember(&mask, $0) == 1 }
            found.withLock { $0 = (String(decoding: name, as: UTF8.self), blocked) }
        }
        thread.join()
        thread.join()
        #expect(found.withLock { $0.name } == "a name of more \n")
        #expect(found.withLock { $0.blocked } == [true, true, true, true])
        var mask = sigset_t()
        pthread_sigmask(SIG_BLOCK, nil, &mask)
        #expect(sigismember(&mask, SIGPIPE) == 0)
    }
}
