// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailDispatch
import MailJob
import Testing

@Suite("The workers' places")
struct WorkerPoolTests {
    private func begin(_ pool: inout WorkerPool, _ count: Int, kind: UInt8 = 0) -> [Int?] {
        (0..<count).map { pool.begin(JobID(raw: Int64($0)), kind: kind, now: 0) }
    }

    @Test("the lowest free number is taken first")
    func lowestFirst() {
        var pool = WorkerPool(target: 4, now: 0)
        #expect(begin(&pool, 5) == [0, 1, 2, 3, nil])
        #expect(!pool.hasFree)
        for number in [2, 0, 3] { pool.end(number, now: 1) }
        #expect(begin(&pool, 4) == [0, 2, 3, nil])
        #expect(pool.busy == 4)
    }

    @Test("growing takes effect at once")
    func grows() {
        var pool = WorkerPool(target: 1, now: 0)
        #expect(begin(&pool, 2) == [0, nil])
        pool.scale(to: 3, now: 1)
        #expect(begin(&pool, 3) == [1, 2, nil])
        #expect(pool.target == 3)
    }

    @Test("shrinking retires busy places when they end, and interrupts none")
    func shrinks() {
        var pool = WorkerPool(target: 4, now: 0)
        _ = begin(&pool, 4)
        pool.scale(to: 2, now: 1)
        #expect(pool.places.count == 4 && pool.busy == 4)
        pool.end(2, now: 2)
        #expect(!pool.hasFree, "a place beyond the target is not free")
        #expect(pool.places.count == 4, "a higher number is still busy")
        pool.end(3, now: 3)
        #expect(pool.places.count == 2 && pool.busy == 2)
        pool.end(1, now: 4)
        #expect(begin(&pool, 2) == [1, nil])
    }

    @Test("a place that was to retire is wanted again where the pool grows before its job ends")
    func shrinksAndGrows() {
        var pool = WorkerPool(target: 3, now: 0)
        _ = begin(&pool, 3)
        pool.scale(to: 1, now: 1)
        pool.scale(to: 3, now: 2)
        pool.end(2, now: 3)
        #expect(begin(&pool, 2) == [2, nil])
    }

    @Test("jobs in hand are counted by queue and kind")
    func byClass() {
        var pool = WorkerPool(target: 5, now: 0)
        _ = begin(&pool, 2, kind: 1)
        _ = pool.begin(JobID(raw: 7), kind: 1, queue: 3, now: 0)
        _ = begin(&pool, 1, kind: 255)
        #expect(pool.busyByClass == [JobClass(0, 1): 2, JobClass(3, 1): 1, JobClass(0, 255): 1])
        pool.end(0, now: 1)
        #expect(pool.busyByClass == [JobClass(0, 1): 1, JobClass(3, 1): 1, JobClass(0, 255): 1])
    }

    @Test("no place is given twice, and none is lost, whatever is done", arguments: 1...20)
    func seeded(seed: Int) {
        var random = Seeded(seed)
        var pool = WorkerPool(target: 4, now: 0)
        var busy: Set<Int> = []
        for step in 0..<500 {
            switch Int.random(in: 0..<5, using: &random) {
            case 0: pool.scale(to: Int.random(in: 1...9, using: &random), now: Double(step))
            case 1, 2:
                guard let number = busy.randomElement(using: &random) else { continue }
                busy.remove(number)
                pool.end(number, now: Double(step))
            default:
                let lowest = (0..<pool.target).first { !busy.contains($0) }
                let number = pool.begin(JobID(raw: Int64(step)), kind: 0, now: Double(step))
                #expect(number == lowest)
                if let number { busy.insert(number) }
            }
            #expect(pool.busy == busy.count)
            #expect(pool.hasFree == (0..<pool.target).contains { !busy.contains($0) })
            #expect(pool.places.count >= pool.target)
        }
    }
}
