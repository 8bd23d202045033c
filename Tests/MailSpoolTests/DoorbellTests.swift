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
