// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import PostgreSQL

/// The kinds of this daemon and their numbers in the database, which are the same for all nodes.
struct KindTable: Sendable {
    private var numbers: [Int64] = []
    private var indices: [Int64: UInt8] = [:]

    /// Within a transaction that holds `FleetSchema.lock`.
    init(_ kinds: [String], _ link: Link) throws(SpoolError) {
        try link.run(
            kinds.map { kind in
                Query(
                    """
                    INSERT INTO kinds SELECT coalesce(max(number), 0) + 1, $1 FROM kinds
                    ON CONFLICT (name) DO NOTHING
                    """, [.text(kind)])
            })
        let rows = try link.run("SELECT number, name FROM kinds ORDER BY number")
        var known: [String: Int64] = [:]
        for row in 0..<rows.count { known[rows.text(row, 1)] = rows.integer(row, 0) }
        for kind in kinds { if let number = known[kind] { add(number) } }
        // Those that other nodes know come behind this daemon's own, so that each is counted apart.
        for number in known.values.sorted() where indices[number] == nil { add(number) }
    }

    private mutating func add(_ number: Int64) {
        indices[number] = UInt8(clamping: numbers.count)
        numbers.append(number)
    }

    /// At or past the length of the daemon's list for one that is not in it.
    func index(of number: Int64) -> UInt8 { indices[number] ?? UInt8.max }

    func number(of kind: UInt8) -> Int64 { Int(kind) < numbers.count ? numbers[Int(kind)] : -1 }
}
