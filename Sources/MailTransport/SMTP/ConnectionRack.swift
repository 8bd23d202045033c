// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

/// Connections that take more mail, found at once: idle ones, and those with one mail in hand and room for another.
/// The one used last comes first, so that those not needed grow old and say goodbye.
struct ConnectionRack {
    private var idleOnes: [SMTPConnection] = []
    private var spareOnes: [SMTPConnection] = []

    var idle: SMTPConnection? { idleOnes.last }
    var spare: SMTPConnection? { spareOnes.last }
    var idleCount: Int { idleOnes.count }

    /// Puts a connection where its load and room now say.
    mutating func place(_ connection: SMTPConnection) {
        let standing = connection.standing
        let shelf: RackShelf = standing.room == 0 ? .none : standing.load == 0 ? .idle : .spare
        guard shelf != connection.shelf else { return }
        remove(connection)
        connection.shelf = shelf
        switch shelf {
        case .none: break
        case .idle: Self.add(connection, to: &idleOnes)
        case .spare: Self.add(connection, to: &spareOnes)
        }
    }

    mutating func remove(_ connection: SMTPConnection) {
        switch connection.shelf {
        case .none: return
        case .idle: Self.remove(connection, from: &idleOnes)
        case .spare: Self.remove(connection, from: &spareOnes)
        }
        connection.shelf = .none
    }

    private static func add(_ connection: SMTPConnection, to list: inout [SMTPConnection]) {
        connection.rackIndex = list.count
        list.append(connection)
    }

    /// Nearly always the last; otherwise those behind it move up, which keeps the order.
    private static func remove(_ connection: SMTPConnection, from list: inout [SMTPConnection]) {
        list.remove(at: connection.rackIndex)
        for index in connection.rackIndex..<list.count { list[index].rackIndex = index }
    }
}

enum RackShelf { case none, idle, spare }
