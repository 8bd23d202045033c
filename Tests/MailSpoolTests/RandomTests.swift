// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import Glibc
import MailJob
import MailSpool
import Testing

/// Part of the suite that every keeping must pass: whatever is done in whatever order, it agrees with a simple model.
@Suite(.timeLimit(.minutes(5)))
struct RandomTests {
    /// Three that stay, and one new each time. MAILD_TEST_SEED=N runs the N that a failure named, alone.
    static let seeds: [UInt64] = {
        if let text = getenv("MAILD_TEST_SEED"), let seed = UInt64(String(cString: text)) { return [seed] }
        return [1, 2, 3, UInt64.random(in: 1000..<1_000_000_000)]
    }()

    @Test("random work on a spool leaves what a simple model says", arguments: Shelf.Kind.allCases, seeds)
    func agrees(_ kind: Shelf.Kind, _ seed: UInt64) async throws {
        let walk = try RandomWalk(kind, seed: seed)
        for step in 0..<200 {
            let action = try await walk.step()
            let differences = try await walk.differences()
            #expect(differences == [], "seed \(seed), step \(step): \(action)")
            guard differences.isEmpty else { return }
        }
        #expect(walk.counts.values.allSatisfy { $0 > 0 }, "seed \(seed) left something out: \(walk.counts)")
    }
}

/// One spool, its model, and the dice.
final class RandomWalk {
    private let stage: Stage
    private let disk = MoodyDisk()
    private var model = SpoolModel()
    private var dice: Dice
    private let limits: SpoolLimits
    private(set) var counts: [Action: Int] = [:]

    enum Action: CaseIterable { case append, settle, change, set, advance, prune, reopen, crash, refuse }

    init(_ kind: Shelf.Kind, seed: UInt64) throws {
        dice = Dice(state: seed)
        var limits = SpoolLimits()
        limits.jobsMax = 60
        limits.bytesMax = 3000
        limits.historySeconds = 500
        limits.historyJobsMax = 12
        limits.keySeconds = 300
        self.limits = limits
        stage = try Stage(kind, limits: limits) { [disk] keeping in
            TrickKeeping(keeping) { batch throws(SpoolError) in try disk.before(batch) }
        }
        for action in Action.allCases { counts[action] = 0 }
    }

    func step() async throws -> Action {
        let weighted: [Action] = [
            .append, .append, .append, .append, .settle, .settle, .settle, .settle, .change, .change, .set, .advance,
            .prune, .reopen, .crash, .refuse,
        ]
        let action = weighted.randomElement(using: &dice) ?? .append
        counts[action, default: 0] += 1
        switch action {
        case .append: try await append()
        case .settle: await settle()
        case .change: try await change()
        case .crash: try await crash()
        case .set: await set()
        case .advance: stage.clock.advance(wall: Double.random(in: 0..<200, using: &dice))
        case .prune: await prune()
        case .reopen: try stage.reopen()
        case .refuse: await refuse()
        }
        return action
    }

    private static let uids: [UInt32] = [1000, 1000, 0, 1001]

    private func drafts() -> [Draft] {
        (0..<Int.random(in: 0...6, using: &dice)).map { _ in
            Draft(
                body: String(repeating: "b", count: Int.random(in: 0...200, using: &dice)),
                priority: dice.chance(50) ? Limits.priorityDefault : Int.random(in: 0...9, using: &dice),
                due: dice.chance(30) ? Double(Int.random(in: 0..<50, using: &dice)) : nil,
                queue: dice.chance(70) ? 0 : UInt16.random(in: 1...2, using: &dice), key: key())
        }
    }

    private func key() -> IdempotencyKey? {
        guard dice.chance(25) else { return nil }
        return IdempotencyKey(name: [UInt8.random(in: 0..<8, using: &dice)], digest: dice.chance(80) ? [1] : [2])
    }

    private func append() async throws {
        let drafts = drafts()
        let uid = Self.uids.randomElement(using: &dice) ?? 0
        let fortunes = model.fortunes(drafts, uid: uid, limits)
        let chunk = try await stage.append(drafts, uid: uid, isAlone: dice.chance(50))
        let found = drafts.indices.map { chunk.fortune($0) }
        guard found == fortunes else { throw Wrong(text: "\(found) where \(fortunes) should be") }
        var wrong: [JobID] = []
        chunk.forEachKept { index, id in
            if id <= model.lastID { wrong.append(id) }
            model.append(drafts[index], as: id, uid: uid)
        }
        guard wrong.isEmpty else { throw Wrong(text: "not rising: \(wrong)") }
        for (index, known) in chunk.repeats {
            let expected = drafts[index].key.flatMap { model.state(ofKey: $0, uid: uid) }
            guard known == expected else { throw Wrong(text: "repeat of \(known), not \(expected as Any)") }
        }
    }

    private func change() async throws {
        let verb = JobChange.allCases.randomElement(using: &dice) ?? .hold
        var ids = model.jobs.shuffled(using: &dice).prefix(Int.random(in: 1...4, using: &dice)).map(\.id)
        if dice.chance(20) { ids.append(JobID(raw: 1)) }
        let order = ChangeOrder(verb, ids, at: stage.clock.now(), history: Array("\(verb)\n".utf8), expirySeconds: 10)
        let outcome = try await stage.change(order)
        let expected = model.change(order)
        guard outcome.changed.map(\.id) == expected, outcome.unchanged.count == ids.count - expected.count else {
            throw Wrong(text: "\(verb) changed \(outcome.changed), not \(expected)")
        }
    }

    /// The process dies with some jobs in hand; its next start is told which.
    private func crash() async throws {
        let ids = model.live.shuffled(using: &dice).prefix(2).map(\.id)
        let time = stage.clock.now()
        try stage.reopen { keeping throws(SpoolError) in _ = try keeping.recover(inHand: ids, at: time) }
        model.crash(ids, at: time)
    }

    struct Wrong: Error { var text: String }

    private func someEnds() -> [Settlement] {
        let states: [JobState] = [.ready, .scheduled, .held, .failed, .delivered, .delivered, .cancelled, .expired]
        return model.live.shuffled(using: &dice).prefix(Int.random(in: 1...4, using: &dice)).map { job in
            let state = states.randomElement(using: &dice) ?? .delivered
            let fates: [Fate]? = dice.chance(50) ? [.open, .delivered, .rejected] : nil
            return Settlement(
                job.id, from: job.state, to: state,
                due: state == .scheduled ? Double(Int.random(in: 0..<50, using: &dice)) : nil,
                attempts: job.attempts + 1, fates: state.isFinal ? nil : fates,
                history: dice.chance(80) ? "attempt \(job.attempts + 1)\n" : "", bytes: job.body.utf8.count,
                at: stage.clock.now(), uid: job.uid, queue: job.queue, isKeyed: job.key != nil)
        }
    }

    private func settle() async {
        let ends = someEnds()
        await stage.settle(ends)
        for end in ends { model.settle(end) }
    }

    private func set() async {
        let name = ["workers", "paused"].randomElement(using: &dice) ?? ""
        let value = dice.chance(30) ? nil : "\(Int.random(in: 0..<100, using: &dice))"
        stage.spool.set(name, to: value)
        await stage.turn()
        model.set(name, value)
    }

    private func prune() async {
        await PruneTests.prune(stage)
        model.prune(
            before: stage.clock.now() + -Double(limits.historySeconds), jobsMax: limits.historyJobsMax,
            keysBefore: stage.clock.now() + -Double(limits.keySeconds))
    }

    /// What ended while the disk refuses is on disk once it does no more; what came meanwhile is refused.
    private func refuse() async {
        disk.refuse { _, _ in true }
        let ends = someEnds()
        stage.spool.settle(ends)
        stage.spool.append([stage.chunk([Draft(), Draft()])])
        _ = await stage.probe.receipts(1)
        disk.refuse { _, _ in false }
        await stage.turn()
        _ = await stage.probe.settled(ends.count)
        for end in ends { model.settle(end) }
    }

    // MARK: Judging

    func differences() async throws -> [String] {
        var found: [String] = []
        if stage.spool.tally != model.tally { found.append("\(stage.spool.tally) where \(model.tally) should be") }
        found += try await recordDifferences()
        found += try await waitingDifferences()
        let opened = stage.spool.opened
        if opened.lastID > model.lastID { found.append("last id \(opened.lastID)") }
        return found
    }

    private func recordDifferences() async throws -> [String] {
        var records = try await stage.list(limit: .max)
        for state in JobState.allCases where state.isFinal { records += try await stage.list(state, limit: .max) }
        records.sort { $0.id < $1.id }
        guard records.map(\.id) == model.jobs.map(\.id) else {
            return ["jobs \(records.map(\.id)) where \(model.jobs.map(\.id)) should be"]
        }
        return zip(records, model.jobs).compactMap { $0.difference(from: $1) }
    }

    private func waitingDifferences() async throws -> [String] {
        var found: [String] = []
        let after = model.jobs.randomElement(using: &dice)?.id ?? JobID(raw: 0)
        let limit = Int.random(in: 0...20, using: &dice)
        let bytes = Int.random(in: 0...500, using: &dice)
        for lane in model.lanes {
            let jobs = try await stage.ready(lane, after: after, limit: limit, bytesMax: bytes)
            let expected = model.ready(lane, after: after, limit: limit, bytesMax: bytes)
            if jobs.map(\.id) != expected { found.append("ready \(lane): \(jobs.map(\.id)), not \(expected)") }
            found += wrongFates(jobs)
        }
        let lanes = try await stage.ask { reading throws(SpoolError) in try reading.readyLanes() }
        let missing = Set(model.jobs.filter { $0.state == .ready }.map(\.lane)).subtracting(lanes)
        if !missing.isEmpty { found.append("no lanes \(missing)") }
        let seconds = Double(Int.random(in: -1...50, using: &dice))
        let time = TestClock.start + seconds
        let skipping = Set(model.lanes.filter { _ in dice.chance(20) })
        let due = try await stage.ask { reading throws(SpoolError) in
            try reading.due(at: time, limit: limit, bytesMax: bytes, skipping: skipping).jobs
        }
        let expected = model.due(time, limit: limit, bytesMax: bytes, skipping: skipping)
        if due.map(\.id) != expected { found.append("due: \(due.map(\.id)), not \(expected)") }
        found += wrongFates(due)
        let next = try await stage.ask { reading throws(SpoolError) in try reading.nextDue(after: time) }
        if next != model.nextDue(after: time) { found.append("next due") }
        return found
    }

    private func wrongFates(_ jobs: [WaitingJob]) -> [String] {
        jobs.compactMap { job in
            let kept = model.jobs.first { $0.id == job.id }
            return kept?.fates == job.fates && kept?.attempts == job.attempts ? nil : "fates of \(job.id)"
        }
    }
}
