// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailJob
import MailSpool
import Testing

/// Part of the suite that every keeping must pass: jobs are found by what they are.
@Suite(.timeLimit(.minutes(2)))
struct FilterTests {
    /// Jobs of all sorts: two users, two queues, two kinds, every state.
    private struct Sample {
        let stage: Stage
        var records: [JobRecord] = []

        init(_ kind: Shelf.Kind) async throws {
            stage = try Stage(kind)
            let states: [JobState] = [.ready, .failed, .delivered, .cancelled, .expired, .held]
            for round in 0..<8 {
                stage.clock.advance(wall: 10)
                let uid: UInt32 = round % 2 == 0 ? 1000 : 2000
                let drafts = states.indices.map { index in
                    Draft(
                        body: "{\"n\":\(round * 10 + index)}", kind: UInt8((round / 2 + index) % 2),
                        queue: UInt16((round / 4 + index) % 2))
                }
                let later = Draft(body: "{}", due: round < 4 ? 5 : 1e6, queue: 1)
                let chunk = try await stage.append(drafts + [later], uid: uid)
                let ends = zip(chunk.keptIDs, drafts).enumerated().map { index, job in
                    Settlement(
                        job.0, to: states[index], history: "h\n", bytes: job.1.body.utf8.count,
                        at: stage.clock.now(), uid: uid, queue: job.1.queue)
                }
                await stage.settle(ends.dropFirst().map { $0 })
            }
            for id in try await all() { if let record = try await stage.show(id) { records.append(record) } }
        }

        private func all() async throws -> [JobID] {
            var filter = JobFilter(states: Set(JobState.allCases))
            filter.before = nil
            return try await ids(filter)
        }

        /// Over pages of `limit`.
        func ids(_ filter: JobFilter, limit: Int = 1000) async throws -> [JobID] {
            var found: [JobID] = []
            var next: JobID? = JobID(raw: 0)
            while let after = next {
                let now = stage.clock.now()
                let page = try await stage.ask { reading throws(SpoolError) in
                    try reading.list(filter, at: now, after: after, limit: limit, whole: true)
                }
                #expect(page.records.count <= limit)
                found += page.records.map(\.id)
                next = page.next
            }
            return found
        }

        func expected(_ takes: (JobRecord) -> Bool) -> [JobID] { records.filter(takes).map(\.id) }
    }

    @Test("each condition takes its jobs, and all together those that fulfil them all", arguments: Shelf.Kind.allCases)
    func conditions(_ kind: Shelf.Kind) async throws {
        let sample = try await Sample(kind)
        let now = sample.stage.clock.now()
        #expect(sample.records.count == 56)
        let live = { (record: JobRecord) in !record.state.isFinal }
        let stands = { (record: JobRecord) in
            record.state == .scheduled && record.dueAt.map { $0 <= now } ?? false ? JobState.ready : record.state
        }
        for state in JobState.allCases where state != .running {
            let wanted = sample.expected { stands($0) == state }
            #expect(!wanted.isEmpty)
            #expect(try await sample.ids(JobFilter(states: [state])) == wanted, "\(state)")
        }
        var filter = JobFilter()
        #expect(try await sample.ids(filter) == sample.expected(live))
        filter.queue = 1
        #expect(try await sample.ids(filter) == sample.expected { live($0) && $0.queue == 1 })
        filter.uids = [2000, 3000]
        #expect(try await sample.ids(filter) == sample.expected { live($0) && $0.queue == 1 && $0.uid == 2000 })
        filter = JobFilter(states: [.held, .failed, .delivered])
        filter.kind = 1
        filter.since = TestClock.start + 30
        filter.before = TestClock.start + 60
        let wanted = sample.expected {
            [.held, .failed, .delivered].contains($0.state) && $0.kind == 1 && $0.id.time >= TestClock.start + 30
                && $0.id.time < TestClock.start + 60
        }
        #expect(!wanted.isEmpty)
        #expect(try await sample.ids(filter) == wanted)
        #expect(sample.expected { filter.takes($0, at: now) } == wanted)
    }

    @Test("states of both tables come in one order, page by page", arguments: Shelf.Kind.allCases)
    func merged(_ kind: Shelf.Kind) async throws {
        let sample = try await Sample(kind)
        let all = Set(JobState.allCases)
        for states in [all, [.held, .failed], [.held, .expired], [.ready, .cancelled, .delivered]] {
            let filter = JobFilter(states: states)
            let whole = try await sample.ids(filter)
            #expect(whole == whole.sorted() && !whole.isEmpty)
            for limit in [1, 3, 7] { #expect(try await sample.ids(filter, limit: limit) == whole) }
        }
    }

    @Test("what stands in the line is asked of whole records; bare ones have neither line nor history")
    func letters() async throws {
        for kind in Shelf.Kind.allCases {
            let sample = try await Sample(kind)
            var filter = JobFilter(states: [.failed, .delivered])
            filter.letter = { record in
                record.history == Array("h\n".utf8) && (record.body.isEmpty || record.body.contains(0x31))
            }
            let now = sample.stage.clock.now()
            for whole in [true, false] {
                let page = try await sample.stage.ask { [filter] reading throws(SpoolError) in
                    try reading.list(filter, at: now, after: JobID(raw: 0), limit: 100, whole: whole)
                }
                #expect(
                    page.records.map(\.id)
                        == sample.expected { filter.states.contains($0.state) && (filter.letter?($0) ?? false) })
                #expect(page.records.contains { $0.state == .failed } && page.next == nil)
                for record in page.records {
                    #expect(record.history.isEmpty != whole && (record.body.isEmpty || whole))
                }
            }
        }
    }

    @Test("a page that looks at too much ends early, and says where to go on", arguments: Shelf.Kind.allCases)
    func bounded(_ kind: Shelf.Kind) async throws {
        let stage = try Stage(kind)
        let many = [Draft](repeating: Draft(), count: 5000)
        for _ in 0..<5 { try await stage.append(many) }
        let last = try #require(await stage.append([Draft(queue: 1)]).keptIDs.first)
        var filter = JobFilter()
        filter.queue = 1
        let first = try await stage.ask { [filter] reading throws(SpoolError) in
            try reading.list(filter, at: TestClock.start, after: JobID(raw: 0), limit: 10, whole: true)
        }
        let next = try #require(first.next)
        #expect(first.records.isEmpty && next < last)
        let second = try await stage.ask { [filter] reading throws(SpoolError) in
            try reading.list(filter, at: TestClock.start, after: next, limit: 10, whole: true)
        }
        #expect(second.records.map(\.id) == [last] && second.next == nil)
        // A look into a line counts as ten.
        filter = JobFilter()
        filter.letter = { _ in false }
        let third = try await stage.ask { [filter] reading throws(SpoolError) in
            try reading.list(filter, at: TestClock.start, after: JobID(raw: 0), limit: 10, whole: true)
        }
        #expect(try #require(third.next) < next)
    }

    @Test("a job is shown with its key, before and after its end", arguments: Shelf.Kind.allCases)
    func key(_ kind: Shelf.Kind) async throws {
        let stage = try Stage(kind)
        let key = IdempotencyKey(name: Array("order-17".utf8), digest: Array(repeating: 1, count: 32))
        let id = try #require(await stage.append([Draft(key: key)]).keptIDs.first)
        #expect(try await stage.show(id)?.key == key.name)
        await stage.settle([Settlement(id, to: .delivered, isKeyed: true)])
        #expect(try await stage.show(id)?.key == key.name)
        let other = try #require(await stage.append([Draft()]).keptIDs.first)
        #expect(try await stage.show(other)?.key == nil)
    }
}
