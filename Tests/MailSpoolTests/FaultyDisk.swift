// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import CSQLite
import FaultDisk
import Synchronization

/// The C library's failing disk, with a name of its own among SQLite's file systems.
final class FaultyDisk: @unchecked Sendable {
    let name: String
    private let disk: OpaquePointer
    private static let made = Atomic(0)

    /// - Parameter isPowersafe: a write leaves the bytes beside it as they are, so that SQLite does not pad commits.
    init(isPowersafe: Bool = false) {
        name = "faulty-\(Self.made.add(1, ordering: .relaxed).newValue)"
        guard let disk = FaultDiskCreate(name, isPowersafe ? 1 : 0) else { preconditionFailure("no memory") }
        self.disk = disk
    }

    deinit { FaultDiskDestroy(disk) }

    struct Kinds: OptionSet, Sendable, CustomStringConvertible {
        let rawValue: Int
        static let open = Kinds(rawValue: FaultDiskOpen)
        static let write = Kinds(rawValue: FaultDiskWrite)
        static let sync = Kinds(rawValue: FaultDiskSync)
        static let truncate = Kinds(rawValue: FaultDiskTruncate)
        static let delete = Kinds(rawValue: FaultDiskDelete)
        static let all = Kinds(rawValue: FaultDiskAll)

        var description: String { self == .all ? "any" : self == .write ? "write" : "\(rawValue)" }
    }

    /// From the last `reset` on.
    var count: Int { FaultDiskCount(disk) }
    func reset() { FaultDiskResetCount(disk) }

    /// - Parameter isForGood: the disk stays as it is until `heal`.
    func fail(at number: Int, _ kinds: Kinds, code: CInt, isForGood: Bool = false) {
        FaultDiskFail(disk, number, isForGood ? .max : number + 1, CInt(kinds.rawValue), code)
    }

    func heal() { FaultDiskFail(disk, 0, 0, 0, SQLITE_OK) }
    func cutPower(at number: Int) { FaultDiskCutPower(disk, number) }

    /// - Parameter percent: of what was not synced, sector by sector.
    func survive(in directory: String, seed: UInt64, percent: Int) -> Bool {
        FaultDiskSurvive(disk, directory, seed, CInt(percent)) == 0
    }
}
