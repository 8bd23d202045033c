// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailJob
import MailSpool
import Testing

/// Part of the suite that every keeping must pass: a failure and the job that tells of it are one commit.
@Suite(.timeLimit(.minutes(2)))
struct ReportJobTests {
    static let ends = [JobState.failed, .expired]

    private static func settlement(_ id: JobID, to state: JobState, line: String = "report") -> Settlement {
        var settlement = Settlement(id, to: state, history: "one\n", queue: 0)
        settlement.report = ReportJob(
            line: Array(line.utf8), priority: 6, dueAt: TestClock.start + 1, expiresAt: TestClock.start + 100)
        return settlement
    }

    @Test("each has the other in its history, over a restart", arguments: Shelf.Kind.allCases, ends)
    func linked(_ kind: Shelf.Kind, _ end: JobState) async throws {
        let stage = try Stage(kind)
        let id = try await stage.append([Draft()]).keptIDs[0]
        await stage.settle([Self.settlement(id, to: end)])
        await stage.turn()
        let told = try #require(stage.probe.noted.reports.first)
        #expect(told.id == id && told.state == end && told.report > id && told.reportDueAt == TestClock.start + 1)
        #expect(try await stage.counted() == stage.spool.tally)
        try stage.reopen()
        #expect(stage.spool.opened.lastID == told.report)
        let report = try #require(await stage.show(told.report))
        #expect(report.state == .scheduled && report.uid == 1000 && report.priority == 6 && report.attempts == 0)
        #expect(report.dueAt == TestClock.start + 1 && report.expiresAt == TestClock.start + 100)
        #expect(report.body == Array("report".utf8))
        let start = TestClock.start.milliseconds
        #expect(report.history == Array("{\"at\":\(start),\"event\":\"reports\",\"failed\":\"\(id)\"}\n".utf8))
        let failed = try #require(await stage.show(id))
        #expect(failed.state == end)
        let note = "{\"at\":\(start),\"event\":\"reported\",\"report\":\"\(told.report)\"}\n"
        #expect(failed.history == Array("one\n\(note)".utf8))
        #expect(try await stage.due(1).map(\.id) == [told.report])
    }

    @Test("a report that is delivered at once keeps the history it was born with", arguments: Shelf.Kind.allCases)
    func delivered(_ kind: Shelf.Kind) async throws {
        let stage = try Stage(kind)
        let id = try await stage.append([Draft()]).keptIDs[0]
        await stage.settle([Self.settlement(id, to: .failed)])
        await stage.turn()
        let report = try #require(stage.probe.noted.reports.first).report
        await stage.settle([Settlement(report, from: .scheduled, to: .delivered, history: "two\n", bytes: 6)])
        let record = try #require(await stage.show(report))
        #expect(String(decoding: record.history, as: UTF8.self).hasSuffix("\"failed\":\"\(id)\"}\ntwo\n"))
        #expect(try await stage.counted() == stage.spool.tally)
    }

    @Test("many at once get ids of their own, behind what was submitted", arguments: Shelf.Kind.allCases)
    func many(_ kind: Shelf.Kind) async throws {
        let stage = try Stage(kind)
        let ids = try await stage.append([Draft](repeating: Draft(), count: 20)).keptIDs
        stage.spool.settle(ids.map { Self.settlement($0, to: .failed) })
        stage.spool.append([stage.chunk([Draft](repeating: Draft(), count: 20))])
        _ = await stage.probe.settled(20)
        let more = try #require(await stage.probe.receipts(1).first).keptIDs
        await stage.turn()
        let reports = stage.probe.noted.reports
        #expect(reports.map(\.id) == ids && Set(ids + more + reports.map(\.report)).count == 60)
        #expect(try await stage.counted() == stage.spool.tally)
        let after = try await stage.append([Draft()]).keptIDs[0]
        #expect(after > (reports.map(\.report).max() ?? after))
    }

    @Test("an end that was settled before brings no report", arguments: Shelf.Kind.allCases)
    func twice(_ kind: Shelf.Kind) async throws {
        let stage = try Stage(kind)
        let id = try await stage.append([Draft()]).keptIDs[0]
        await stage.settle([Settlement(id, to: .delivered)])
        await stage.settle([Self.settlement(id, to: .failed)])
        await stage.turn()
        #expect(stage.probe.noted.reports.isEmpty && stage.probe.noted.errors.count == 1)
        #expect(try await stage.list().isEmpty)
        #expect(try await stage.counted() == stage.spool.tally)
    }

    @Test("where the disk refuses neither is there, and both are once it does not; a full spool refuses none")
    func refused() async throws {
        let keeping = FullDiskTests.Kept()
        var limits = SpoolLimits()
        limits.jobsMax = 1
        let stage = try Stage(.sqlite, limits: limits) { keeping.hold($0) }
        let id = try await stage.append([Draft()]).keptIDs[0]
        await keeping.limit(pages: 1, stage)
        stage.spool.settle([Self.settlement(id, to: .failed, line: String(repeating: "x", count: 100_000))])
        await stage.turn()
        #expect(try await stage.list().map(\.state) == [.ready] && stage.probe.noted.reports.isEmpty)
        await keeping.limit(pages: 1 << 30, stage)
        _ = await stage.probe.settled(1)
        await stage.turn()
        #expect(try await stage.list().map(\.state) == [.failed, .scheduled])
        #expect(stage.probe.noted.reports.count == 1)
        let history = try #require(await stage.show(id)).history
        #expect(history.split(separator: 0x0A).count == 2, "it was tried more than once, and is told once")
        #expect(try await stage.counted() == stage.spool.tally)
    }
}
