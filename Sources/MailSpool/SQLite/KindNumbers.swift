// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailJob

/// The kinds of this daemon and their numbers in the file, which outlive any order they are listed in.
struct KindNumbers {
    private(set) var numbers: [Int64] = []
    private var indices: [Int64: UInt8] = [:]

    /// Stands for a kind that is in the file and not in this daemon.
    static let unknown: UInt8 = 255
    private static let unknownNumber: Int64 = -1

    init(_ kinds: [String], in database: Database) throws(SpoolError) {
        let insert = try database.prepare("INSERT OR IGNORE INTO kinds (name) VALUES (?)")
        let select = try database.prepare("SELECT number FROM kinds WHERE name = ?")
        for (index, kind) in kinds.enumerated() {
            insert.bind(kind, 1)
            try insert.run()
            select.bind(kind, 1)
            guard try select.step() else { throw .failed(message: "kind \(kind) was not kept") }
            numbers.append(select.integer(0))
            indices[select.integer(0)] = UInt8(index)
            select.reset()
        }
    }

    func index(of number: Int64) -> UInt8 { indices[number] ?? Self.unknown }

    func number(of kind: UInt8) -> Int64 { Int(kind) < numbers.count ? numbers[Int(kind)] : Self.unknownNumber }
}
