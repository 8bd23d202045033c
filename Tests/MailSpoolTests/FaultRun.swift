// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailJob
import MailSpool

/// Everything a spool does, in one fixed order on a disk that may fail, with a model of what was promised.
///
/// Nothing waits for a success: a step that the disk refuses is noted as refused, or stays open.
final class FaultRun {
    let disk: FaultyDisk
    let stage: Stage
    /// What was answered or told.
    private(set) var model = SpoolModel()
    /// Texts of jobs that were refused.
    private(set) var refused: Set<String> = []
    /// What was asked for and not answered, or answered with an error: it may have happened all the same.
    private(set) var unanswered: [JobID: JobState?] = [:]
    private var unsettled: [JobID: Settlement] = [:]

    init(isPowersafe: Bool = false) throws {
        disk = FaultyDisk(isPowersafe: isPowersafe)
        stage = try Stage(Shelf(.sqlite, vfs: disk.name))
        disk.reset()
    }

    /// Small, so that it comes often.
    static let checkpointPages = 20

    func run() async throws {
        for round in 0..<5 {
            let ids = try await append(round)
            await settle(ids.first, to: .delivered)
            await settle(ids.dropFirst().first, to: .scheduled)
            try await change(round)
        }
    }

    private func append(_ round: Int) async throws -> [JobID] {
        let drafts = (0..<4).map { number in
            Draft(
                body: String(repeating: "\(round)\(number) ", count: number == 3 ? 2000 : 100),
                priority: number == 2 ? 9 : Limits.priorityDefault, due: number == 3 ? 20 : nil,
                key: number == 1 ? IdempotencyKey(name: [UInt8(round)], digest: [1]) : nil)
        }
        let chunk = try await stage.append(drafts)
        var ids: [JobID] = []
        chunk.forEachKept { index, id in
            model.append(drafts[index], as: id, uid: 1000)
            ids.append(id)
        }
        for index in chunk.refusals.keys { refused.insert(drafts[index].body) }
        return ids
    }

    private func settle(_ id: JobID?, to state: JobState) async {
        guard let id, let job = model.live.first(where: { $0.id == id }) else { return }
        let end = Settlement(
            id, from: job.state, to: state, due: state == .scheduled ? 30 : nil, attempts: 1,
            history: "attempt\n", bytes: job.body.utf8.count, isKeyed: job.key != nil)
        unsettled[id] = end
        noteUnanswered(id, state)
        stage.spool.settle([end])
        await turn()
    }

    /// One turn to try, and one to try again.
    func turn() async {
        await stage.turn()
        await stage.turn()
        for id in stage.probe.noted.settled {
            guard let end = unsettled.removeValue(forKey: id) else { continue }
            unanswered[id] = nil
            model.settle(end)
        }
    }

    private func change(_ round: Int) async throws {
        let verbs: [JobChange] = [.hold, .cancel, .purge, .hold, .release]
        // Of jobs that are not in anybody's hands.
        let free = model.live.filter { unsettled[$0.id] == nil && $0.priority == 9 }
        let order = ChangeOrder(verbs[round], free.suffix(2).map(\.id), at: stage.clock.now())
        do {
            _ = try await stage.change(order)
            _ = model.change(order)
        } catch is SpoolError {
            var tried = model
            for id in tried.change(order) { noteUnanswered(id, tried.jobs.first { $0.id == id }?.state) }
        }
    }

    /// The first counts: after it nothing is written any more, unless it is answered after all.
    private func noteUnanswered(_ id: JobID, _ state: JobState?) {
        if unanswered[id] == nil { unanswered[id] = .some(state) }
    }

    /// The disk is well again: all that ended is on disk now.
    func heal() async throws {
        disk.heal()
        await turn()
        if !unsettled.isEmpty { throw Wrong(text: "\(unsettled.keys) are not settled on a disk that is well") }
        guard try await append(9).count == 4 else { throw Wrong(text: "no job is taken on a disk that is well") }
    }

    struct Wrong: Error { var text: String }

    // MARK: Judging

    /// What differs from the promises in a spool that was opened anew.
    /// - Parameter isCut: the power was cut: what was not answered may have happened.
    func differences(_ reading: any Reading, isCut: Bool) throws -> [String] {
        var records = try reading.list(state: nil, after: JobID(raw: 0), limit: .max)
        for state in JobState.allCases where state.isFinal {
            records += try reading.list(state: state, after: JobID(raw: 0), limit: .max)
        }
        let found = Dictionary(records.map { ($0.id, $0) }, uniquingKeysWith: { first, _ in first })
        var wrong = records.count == found.count ? [] : ["a job is there twice"]
        for job in model.jobs { wrong += difference(job, found[job.id], isCut: isCut) }
        let known = Set(model.jobs.map(\.id))
        for record in records where !known.contains(record.id) {
            let text = String(decoding: record.body, as: UTF8.self)
            if isCut, refused.contains(text) || unanswered[record.id] != nil { continue }
            wrong.append("\(record.id) is there, and nobody was told: \(text.prefix(20))")
        }
        return wrong
    }

    private func difference(_ job: SpoolModel.Job, _ record: JobRecord?, isCut: Bool) -> [String] {
        let open = unanswered[job.id]
        guard let record else { return isCut && open == .some(nil) ? [] : ["\(job.id) is lost"] }
        if isCut, let open, record.state == open { return [] }
        return record.difference(from: job).map { [$0] } ?? []
    }
}
