// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailJob
import Synchronization

/// A job whose row cannot be what was written: it is held, is shown, and is never worked on again.
package struct DamagedRow: Equatable, Sendable {
    package var id: JobID
    /// For people: which value is wrong, and how it shows.
    package var reason: String
    /// Not even its values can be had, nor changed: it stays where it is, and everybody goes round it.
    package var isUnreadable: Bool
    /// The job is done with; only its unreadable row is left.
    package var hasEnded = false

    package init(id: JobID, reason: String, isUnreadable: Bool = false) {
        self.id = id
        self.reason = reason
        self.isUnreadable = isUnreadable
    }

    /// The same, to be left where it is.
    var unreadable: DamagedRow {
        var row = self
        row.isUnreadable = true
        return row
    }

    static func unreadable(_ id: JobID) -> DamagedRow {
        DamagedRow(id: id, reason: "the pages that hold its text are broken", isUnreadable: true)
    }
}

/// What a reading side came upon while it looked for something else.
package struct Discoveries: Sendable {
    package var damaged: [DamagedRow] = []
    /// The file itself is damaged.
    package var corruption: SpoolError?

    package init() {}

    var isEmpty: Bool { damaged.isEmpty && corruption == nil }

    mutating func add(_ other: Discoveries) {
        damaged += other.damaged
        corruption = corruption ?? other.corruption
    }
}

/// Damaged rows that were put on record by one call.
package struct SetAside: Sendable {
    /// Jobs that were not held before.
    package var changed: [ChangedJob] = []
    /// As it is now.
    package var tally: Tally

    package init(tally: Tally) { self.tally = tally }
}

/// The damaged rows of one spool, known to its writer and all its readers.
///
/// A reader that finds one names it here at once, so that nobody trips over it twice; the writer puts it on record.
final class DamageLedger: Sendable {
    private struct State {
        var known: [JobID: DamagedRow] = [:]
        var recorded: Set<JobID> = []
        var fresh: [DamagedRow] = []
    }

    private let state = Mutex(State())
    /// Nearly always so, and asked for every row.
    private let isEmpty = Atomic(true)

    subscript(id: JobID) -> DamagedRow? {
        isEmpty.load(ordering: .relaxed) ? nil : state.withLock { $0.known[id] }
    }

    /// Put on record, that is: held, for the tally.
    func recorded(_ id: JobID) -> DamagedRow? {
        guard !isEmpty.load(ordering: .relaxed) else { return nil }
        return state.withLock { $0.recorded.contains(id) ? $0.known[id] : nil }
    }

    /// Of jobs, not rows that were left over; in the order of their ids.
    var all: [DamagedRow] {
        state.withLock { $0.known.values.filter { !$0.hasEnded } }.sorted { $0.id < $1.id }
    }

    /// Jobs, not rows that were left over.
    var count: Int { isEmpty.load(ordering: .relaxed) ? 0 : state.withLock { $0.known.values.count { !$0.hasEnded } } }

    /// It stands on record.
    func record(_ row: DamagedRow) {
        state.withLock {
            $0.known[row.id] = row
            $0.recorded.insert(row.id)
        }
        isEmpty.store(false, ordering: .relaxed)
    }

    /// A reader has found it.
    func find(_ row: DamagedRow) {
        let isFresh = state.withLock { state in
            guard state.known[row.id] == nil else { return false }
            state.known[row.id] = row
            state.fresh.append(row)
            return true
        }
        if isFresh { isEmpty.store(false, ordering: .relaxed) }
    }

    /// It is gone, or was not damaged after all.
    func forget(_ id: JobID) {
        let isEmpty = state.withLock { state in
            state.known[id] = nil
            state.recorded.remove(id)
            return state.known.isEmpty
        }
        self.isEmpty.store(isEmpty, ordering: .relaxed)
    }

    func takeFresh() -> [DamagedRow] {
        guard !isEmpty.load(ordering: .relaxed) else { return [] }
        return state.withLock { state in
            defer { state.fresh = [] }
            return state.fresh
        }
    }
}
