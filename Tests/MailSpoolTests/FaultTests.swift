// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import CSQLite
import MailJob
import MailSpool
import Testing

/// The disk fails at the n-th operation, for every n: nothing is answered that was not kept, nothing kept is lost, and
/// the spool is as good as before once the disk is.
@Suite(.timeLimit(.minutes(10)))
struct FaultTests {
    struct Fault: Sendable, CustomTestStringConvertible {
        var kinds: FaultyDisk.Kinds
        var code: CInt
        var isForGood = false

        var testDescription: String {
            "\(kinds) fails with \(code == SQLITE_FULL ? "ENOSPC" : "EIO")\(isForGood ? " for good" : "")"
        }
    }

    static let faults = [
        Fault(kinds: .write, code: SQLITE_FULL), Fault(kinds: .write, code: SQLITE_FULL, isForGood: true),
        Fault(kinds: .all, code: SQLITE_IOERR), Fault(kinds: .all, code: SQLITE_IOERR, isForGood: true),
    ]

    @Test("whichever operation fails, promises are kept", arguments: faults)
    func everyOperation(_ fault: Fault) async throws {
        let whole = try FaultRun()
        try await whole.run()
        let count = whole.disk.count
        #expect(count > 100 && whole.refused.isEmpty)
        var refusals = 0
        for number in 1...count {
            let run = try FaultRun()
            run.disk.fail(at: number, fault.kinds, code: fault.code, isForGood: fault.isForGood)
            try await run.run()
            try await run.heal()
            refusals += run.refused.count
            run.stage.spool.close()
            let keeping = try run.stage.shelf.open()
            defer { keeping.close() }
            let reading = try keeping.reading()
            defer { reading.close() }
            let differences = try run.differences(reading, isCut: false)
            #expect(differences == [], "operation \(number) of \(count)")
            #expect(keeping.opened.tally == run.model.tally, "operation \(number) of \(count)")
            guard differences.isEmpty else { return }
        }
        #expect(refusals > 0, "no fault was met by a job")
    }

    @Test("whichever operation of its making fails, a spool is made the next time", arguments: faults)
    func opening(_ fault: Fault) async throws {
        var number = 0
        var failures = 0
        while true {
            // Nothing here waits for anybody, and all tests share two threads.
            await Task.yield()
            number += 1
            let disk = FaultyDisk()
            let shelf = try Shelf(.sqlite, vfs: disk.name)
            disk.fail(at: number, fault.kinds, code: fault.code, isForGood: fault.isForGood)
            do throws(SpoolError) {
                try shelf.open().close()
                // Past its last operation, or one that it can do without.
                if disk.count < number { break }
            } catch {
                failures += 1
            }
            disk.heal()
            let keeping = try shelf.open()
            #expect(keeping.opened.tally == Tally(), "operation \(number)")
            keeping.close()
        }
        #expect(number > 20 && failures > 10)
    }
}

/// The power is cut at the n-th operation, for every n, and takes what was not synced with it, in whatever part.
@Suite(.timeLimit(.minutes(10)))
struct PowerLossTests {
    static let seed = UInt64.random(in: 0..<1_000_000_000)

    @Test("whatever was answered before the power went is there when it is back", arguments: [false, true])
    func everyOperation(isPowersafe: Bool) async throws {
        let whole = try FaultRun(isPowersafe: isPowersafe)
        try await whole.run()
        let count = whole.disk.count
        for number in 1...count {
            let run = try FaultRun(isPowersafe: isPowersafe)
            run.disk.cutPower(at: number)
            try await run.run()
            run.stage.spool.close()
            for (percent, seed) in [(0, 0), (100, 0), (50, Self.seed), (50, Self.seed + 1), (10, Self.seed + 2)] {
                let place = "operation \(number) of \(count), \(percent) % with seed \(seed)"
                let shelf = try Shelf(.sqlite)
                #expect(run.disk.survive(in: shelf.directory.path, seed: seed, percent: percent))
                await Task.yield()
                let differences = try Self.differences(run, shelf)
                #expect(differences == [], "\(place)")
                guard differences.isEmpty else { return }
            }
        }
    }

    private static func differences(_ run: FaultRun, _ shelf: Shelf) throws -> [String] {
        let keeping = try shelf.open()
        let reading = try keeping.reading()
        var wrong = try run.differences(reading, isCut: true)
        reading.close()
        keeping.close()
        let report = try SpoolChecker.check(path: shelf.path, isFull: true) { _ in true }
        wrong += report.problems + report.damaged.map(\.reason)
        return wrong
    }
}
