// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailJob

/// The kinds of this daemon and their numbers in the file, which outlive any order they are listed in.
struct KindNumbers {
    private(set) var numbers: [Int64] = []
    private var indices: [Int64: UInt8] = [:]

    init(_ kinds: [String], in database: Database) throws(SpoolError) {
        let insert = try database.prepare("INSERT OR IGNORE INTO kinds (name) VALUES (?)")
        let select = try database.prepare("SELECT number FROM kinds WHERE name = ?")
        for kind in kinds {
            insert.bind(kind, 1)
            try insert.run()
            select.bind(kind, 1)
            guard try select.step() else { throw .failed(message: "kind \(kind) was not kept") }
            add(select.integer(0))
            select.reset()
        }
        try addOthers(in: database)
    }

    /// All that are in the file, for whoever has no list of its own.
    init(in database: Database) throws(SpoolError) { try addOthers(in: database) }

    private mutating func addOthers(in database: Database) throws(SpoolError) {
        // Kinds that are in the file and not in this daemon come behind its own, so that each is counted apart.
        let others = try database.prepare("SELECT number FROM kinds ORDER BY number")
        while try others.step() {
            if indices[others.integer(0)] == nil { add(others.integer(0)) }
        }
    }

    private mutating func add(_ number: Int64) {
        indices[number] = UInt8(clamping: numbers.count)
        numbers.append(number)
    }

    /// At or past the length of the daemon's list for one that is not in it.
    func index(of number: Int64) -> UInt8 { indices[number] ?? UInt8.max }

    func number(of kind: UInt8) -> Int64 { Int(kind) < numbers.count ? numbers[Int(kind)] : -1 }
}
