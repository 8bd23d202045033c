// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import Glibc
import MailJob
import MailSpool
import Testing

/// Spools of older formats, as their daemons left them, are brought to the present one with nothing lost.
@Suite(.timeLimit(.minutes(2)))
struct MigrationTests {
    static let formats = [1, 2]

    /// A spool of that format, closed.
    static func spool(_ format: Int) throws -> Shelf {
        let shelf = try Shelf(.sqlite)
        let directory = #filePath.split(separator: "/").dropLast().joined(separator: "/")
        let sql = try #require(TemporaryDirectory.read("/\(directory)/Formats/format-\(format).sql"))
        try RawDatabase.at(shelf.path, String(decoding: sql, as: UTF8.self))
        return shelf
    }

    /// Every value that both formats have, a line a row.
    static func rows(_ path: String) throws -> String? {
        try RawDatabase(path).text(
            """
            SELECT group_concat(line, char(10)) FROM (
            SELECT printf('%d %d %d %d %d %s %d %d %d %s %s %s', id, state, priority, kind, uid, ifnull(due, '-'), expires,
              attempts_max, attempts, ifnull(hex(fates), '-'), ifnull(hex(history), '-'), hex(body)) AS line FROM jobs
            UNION ALL
            SELECT printf('finished %d %d %d %d %d %d %s', id, state, kind, uid, attempts, finished_at,
              ifnull(hex(history), '-')) FROM finished
            UNION ALL SELECT name || ' ' || value FROM settings WHERE name <> 'main_uid'
            UNION ALL SELECT number || ' ' || name FROM kinds ORDER BY 1)
            """)
    }

    @Test("every row of an older spool is there after the upgrade, and all of it fits together", arguments: formats)
    func everyRow(_ format: Int) throws {
        let shelf = try Self.spool(format)
        let before = try #require(try Self.rows(shelf.path))
        let keeping = try shelf.open()
        #expect(keeping.opened.node == 77 && keeping.opened.settings["workers"] == "12 8")
        #expect(keeping.opened.lastID == JobID(raw: 1_806_233_600_157_773))
        keeping.close()
        let isSame = try Self.rows(shelf.path) == before
        #expect(isSame)
        let report = try SpoolChecker.check(path: shelf.path, isFull: true) { _ in true }
        #expect(report.problems == [] && report.damaged == [])
        #expect(report.jobs == 18 && report.finished == 4)
        #expect(report.unsummed == (format == 1 ? 18 : 1))
    }

    @Test("counts and lanes of an upgraded spool are those of its rows", arguments: formats)
    func lanes(_ format: Int) throws {
        let shelf = try Self.spool(format)
        let keeping = try shelf.open()
        defer { keeping.close() }
        let reading = try keeping.reading()
        defer { reading.close() }
        let tally = keeping.opened.tally
        #expect((tally.ready, tally.scheduled, tally.held, tally.failed) == (11, 3, 2, 2))
        #expect(tally.finished == 4 && tally.count(uid: 33).jobs == 3 && tally.count(uid: 0).jobs == 2)
        var found: [JobID] = []
        for lane in try reading.readyLanes() {
            let jobs = try reading.ready(lane, after: JobID(raw: 0), limit: 100, bytesMax: 1 << 20)
            #expect(jobs.allSatisfy { $0.lane == lane })
            found += jobs.map(\.id)
        }
        let ready = try reading.list(state: .ready, after: JobID(raw: 0), limit: 100).map(\.id)
        #expect(found.sorted() == ready && ready.count == 11)
        let due = try reading.due(
            at: WallTime(milliseconds: 1_763_900_060_000), limit: 9, bytesMax: 1 << 20, skipping: [])
        #expect(due.jobs.map(\.readyAt.milliseconds) == [1_763_900_050_000, 1_763_900_060_000])
        #expect(due.jobs.first?.fates == [.open, .delivered])
        let next = try reading.nextDue(after: WallTime(milliseconds: 1_763_900_060_000))
        #expect(next?.milliseconds == 1_763_900_070_000)
    }

    @Test("an upgraded spool takes jobs, ends them, and gives disk back", arguments: formats)
    func goesOn(_ format: Int) async throws {
        let stage = try Stage(Self.spool(format))
        let ids = try await stage.append([Draft(), Draft()]).keptIDs
        #expect(ids.count == 2)
        let waiting = try await stage.ready(after: JobID(raw: 0))
        #expect(waiting.map(\.id).suffix(2) == ids)
        let first = try #require(waiting.first)
        await stage.settle([Settlement(first.id, to: .delivered, bytes: first.body.readableBytes)])
        #expect(try await stage.counted() == stage.spool.tally)
        stage.spool.close()
        #expect(try RawDatabase(stage.shelf.path).text("PRAGMA auto_vacuum") == "2")
        #expect(try RawDatabase(stage.shelf.path).text("PRAGMA user_version") == "3")
    }

    @Test("keys of the second format lead to their jobs after the upgrade")
    func keys() throws {
        let shelf = try Self.spool(2)
        let keeping = try shelf.open()
        defer { keeping.close() }
        let known = try #require(try keeping.find(Array("order-1".utf8), uid: 1000, kind: 0))
        #expect(known.job == Repeat(id: JobID(raw: 1_806_233_600_014_413), state: .ready))
        #expect(try keeping.find(Array("done".utf8), uid: 1000, kind: 0)?.job.state == .delivered)
        #expect(keeping.opened.queues == ["default": 0, "bulk": 1])
    }

    @Test("an upgrade that is cut short is done by the next start", arguments: formats)
    func cutShort(_ format: Int) async throws {
        let shelf = try Self.spool(format)
        let before = try Self.rows(shelf.path)
        // The first is the opening of the file itself, of which the disk knows nothing before.
        var number = 2
        while true {
            await Task.yield()
            let disk = FaultyDisk()
            let copy = try Shelf(.sqlite, vfs: disk.name)
            try TemporaryDirectory.write(try #require(TemporaryDirectory.read(shelf.path)), to: copy.path)
            disk.cutPower(at: number)
            if let keeping = try? copy.open() { keeping.close() }
            let isDone = disk.count < number
            let survivor = try Shelf(.sqlite)
            #expect(disk.survive(in: survivor.directory.path, seed: UInt64(number), percent: 50))
            try survivor.open().close()
            let isSame = try Self.rows(survivor.path) == before
            #expect(isSame, "cut at operation \(number)")
            if isDone || !isSame { break }
            number += 7
        }
        #expect(number > 20)
    }
}
