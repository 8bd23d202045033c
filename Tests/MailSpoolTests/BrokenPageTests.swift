// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailJob
import MailSpool
import Testing

/// Pages that SQLite itself knows to be broken: those of one long text cost its job alone, all others the file.
@Suite(.timeLimit(.minutes(2)))
struct BrokenPageTests {
    static let long = String(repeating: "long ", count: 4000)

    /// A closed spool of short jobs around a long one, the pages of whose text lead nowhere.
    static func spool() async throws -> (shelf: Shelf, ids: [JobID]) {
        let stage = try Stage(.sqlite)
        let drafts = [Draft(), Draft(body: long), Draft(), Draft(body: long, due: 5), Draft(due: 6)]
        let ids = try await stage.append(drafts).keptIDs
        stage.spool.close()
        try spoil(stage.shelf, "pagetype = 'overflow'") { $0.replaceSubrange(0..<4, with: [0x7F, 0xFF, 0xFF, 0xFF]) }
        return (stage.shelf, ids)
    }

    /// Changes the pages of the table `jobs` that are of a kind.
    static func spoil(_ shelf: Shelf, _ kind: String, _ change: (inout [UInt8]) -> Void) throws {
        let file = try RawDatabase(shelf.path)
        let size = try #require(try file.text("PRAGMA page_size").flatMap { Int($0) })
        let list = "SELECT group_concat(pageno) FROM dbstat WHERE name = 'jobs' AND \(kind)"
        let pages = try #require(try file.text(list)).split(separator: ",").compactMap { Int($0) }
        #expect(!pages.isEmpty)
        var bytes = try #require(TemporaryDirectory.read(shelf.path))
        for page in pages {
            var content = Array(bytes[(page - 1) * size..<page * size])
            change(&content)
            bytes.replaceSubrange((page - 1) * size..<page * size, with: content)
        }
        try TemporaryDirectory.write(bytes, to: shelf.path)
    }

    @Test("a text on broken pages is set aside, and the queue goes on")
    func waiting() async throws {
        let (shelf, ids) = try await Self.spool()
        let stage = try Stage(shelf)
        #expect(try await stage.ready().map(\.id) == [ids[0], ids[2]])
        #expect(try await stage.due(9).map(\.id) == [ids[4]])
        await DamageTests.recorded(stage, 2)
        #expect(Set(stage.probe.noted.damaged.map(\.id)) == [ids[1], ids[3]])
        let unreadable = stage.probe.noted.damaged.filter { $0.isUnreadable }
        #expect(unreadable.count == 2)
        #expect(stage.probe.noted.errors == [] && stage.spool.health.refusal == nil)
        #expect((stage.spool.tally.ready, stage.spool.tally.scheduled, stage.spool.tally.held) == (2, 1, 2))
        #expect(try await stage.ready().map(\.id) == [ids[0], ids[2]])
        // It is known to the next start, and jobs come and go as ever.
        try stage.reopen()
        #expect(stage.spool.health.damagedJobs == 2)
        let more = try await stage.append([Draft(), Draft(body: Self.long)]).keptIDs
        #expect(try await stage.ready().map(\.id) == [ids[0], ids[2]] + more)
        await stage.settle([Settlement(ids[0], to: .delivered)])
        #expect(stage.spool.tally.held == 2)
    }

    @Test("list and show name it, whether or not anybody has come upon it before")
    func shown() async throws {
        let (shelf, ids) = try await Self.spool()
        let stage = try Stage(shelf)
        let listed = try await stage.list()
        #expect(listed.map(\.id) == ids)
        #expect(listed.map { $0.damage == nil } == [true, false, true, false, true])
        #expect(listed[1].state == .held && listed[1].body.isEmpty)
        await DamageTests.recorded(stage, 2)
        #expect(try await stage.show(ids[3])?.damage != nil)
        #expect(try await stage.list().map(\.id) == ids)
        let again = try Stage(try await Self.spool().shelf)
        let first = try #require(try await again.list(limit: 2).last)
        #expect(try await again.show(first.id)?.damage != nil)
    }

    @Test("an attempt that was made from memory is kept, though its row cannot even be removed")
    func settled() async throws {
        let (shelf, ids) = try await Self.spool()
        let stage = try Stage(shelf)
        let bytes = Self.long.utf8.count
        await stage.settle([
            Settlement(ids[1], to: .delivered, bytes: bytes), Settlement(ids[0], to: .delivered),
            Settlement(ids[3], from: .scheduled, to: .scheduled, due: 7, attempts: 1, bytes: bytes),
        ])
        #expect(stage.probe.noted.errors == [])
        #expect(try await stage.list().map(\.id) == [ids[2], ids[3], ids[4]])
        #expect(try await stage.show(ids[1])?.state == .delivered)
        #expect(try await stage.show(ids[3])?.state == .held)
        #expect((stage.spool.tally.ready, stage.spool.tally.held, stage.spool.tally.finished) == (1, 1, 2))
        stage.spool.close()
        let report = try SpoolChecker.check(path: shelf.path, isFull: false) { _ in true }
        #expect(!report.isMiscounted && report.damaged.map(\.id) == [ids[3]])
    }

    @Test(
        "an operator's verb or a crash that meets it sets it aside as well",
        arguments: [JobChange.hold, .retry, .purge])
    func changed(_ verb: JobChange) async throws {
        let (shelf, ids) = try await Self.spool()
        let stage = try Stage(shelf)
        let outcome = try await stage.change(verb, [ids[0], ids[1]])
        #expect(outcome.changed.map(\.id).contains(ids[0]))
        #expect(stage.spool.health.refusal == nil && stage.spool.health.damagedJobs == (verb == .purge ? 0 : 1))
        try stage.reopen { keeping throws(SpoolError) in
            _ = try keeping.recover(inHand: [ids[2], ids[3]], at: TestClock.start)
        }
        #expect(try await stage.show(ids[3])?.damage != nil)
        #expect(try await stage.show(ids[2])?.crashes == 1)
        _ = try await stage.list()
        stage.spool.close()
        let report = try SpoolChecker.check(path: shelf.path, isFull: false) { _ in true }
        #expect(!report.isMiscounted)
    }

    @Test("a broken page of the table itself is the file's damage: nothing is written, and the next start refuses it")
    func leaf() async throws {
        let stage = try Stage(.sqlite)
        try await stage.append((0..<200).map { Draft(body: "job \($0) " + String(repeating: "x", count: 200)) })
        stage.spool.close()
        try Self.spoil(stage.shelf, "pagetype = 'leaf'") { page in page = page.map { _ in 0 } }
        try stage.reopen()
        do {
            _ = try await stage.ready()
            Issue.record("a page of zeros was read")
        } catch {
            #expect(error is SpoolError)
        }
        while stage.spool.health.refusal != .damaged { await stage.turn() }
        #expect(try await stage.append([Draft()]).refusals.count == 1)
        stage.spool.close()
        #expect(throws: SpoolError.self) { try stage.shelf.open() }
        // Who has mended the file takes the mark away.
        #expect(stage.shelf.directory.names.contains("spool.db.damaged"))
    }
}
