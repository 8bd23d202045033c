// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailJob
import Synchronization

/// Lanes as one number a row.
///
/// Zero is the main lane: default priority and queue, and the user who submitted first of all. Its rows enter no index,
/// because an index costs each job a microsecond or two, and on most machines there is no other lane; they are found by
/// their rising ids. All other lanes are told apart by an index. Shared by the writer and the reader.
final class LaneNumbers: Sendable {
    /// Of the main lane; -1 while nobody has submitted.
    private let mainUser: Atomic<Int64>

    /// Under which `settings` keeps it.
    static let setting = "main_uid"

    /// Throws `corrupt` where jobs are in the main lane and nobody knows whose that is.
    convenience init(_ opened: OpenedSpool, in database: Database) throws(SpoolError) {
        let main = opened.settings[Self.setting].flatMap { UInt32($0) }
        if main == nil, opened.tally.jobs > 0,
            try database.integer("SELECT 1 FROM jobs WHERE lane = 0 LIMIT 1") != nil
        {
            throw .corrupt(message: "\(database.path): the main lane's user is missing")
        }
        self.init(mainUser: main)
    }

    init(mainUser: UInt32?) { self.mainUser = Atomic(mainUser.map(Int64.init) ?? -1) }

    var main: Lane? {
        let user = mainUser.load(ordering: .relaxed)
        return user < 0 ? nil : Lane(uid: UInt32(truncatingIfNeeded: user))
    }

    func setMain(_ uid: UInt32) { mainUser.store(Int64(uid), ordering: .relaxed) }

    func number(of lane: Lane) -> Int64 {
        let isUsual = Int(lane.priority) == Limits.priorityDefault && lane.queue == 0
        if isUsual, Int64(lane.uid) == mainUser.load(ordering: .relaxed) { return 0 }
        return Self.mark | Int64(lane.priority) << 48 | Int64(lane.queue) << 32 | Int64(lane.uid)
    }

    /// Keeps every other lane's number apart from zero.
    private static let mark: Int64 = 1 << 52

    /// Nil for zero while there is no main lane.
    func lane(_ number: Int64) -> Lane? {
        guard number != 0 else { return main }
        return Lane(
            priority: UInt8(truncatingIfNeeded: number >> 48 & 15), queue: UInt16(truncatingIfNeeded: number >> 32),
            uid: UInt32(truncatingIfNeeded: number))
    }
}
