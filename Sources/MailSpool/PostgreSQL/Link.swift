// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import Glibc
import PostgreSQL

/// Where a fleet's spool is.
package struct FleetLocation: Equatable, Sendable {
    /// A URI, `postgresql://…`, as libpq takes it.
    package var uri: String
    /// Within the database.
    package var schema = "maild"

    package init(uri: String) { self.uri = uri }
}

/// A connection to the database that comes back by itself: whoever runs something opens it anew. For one thread.
final class Link {
    let location: FleetLocation
    private let application: String
    private var connection: Connection?
    /// BEGIN goes out with the next statements.
    private var wantsBegin = false
    /// Of the transaction that is open: by it the server tells later whether it is over.
    private var transactionID: Int64?
    /// The node in whose settings each transaction leaves a mark, so that it can be found out whether it took place.
    var marksOf: Int64?

    init(_ location: FleetLocation, application: String) {
        self.location = location
        self.application = application
    }

    func close() {
        connection?.close()
        connection = nil
    }

    func open() throws(SpoolError) -> Connection {
        if let connection, connection.isOpen { return connection }
        do throws(PostgreSQLError) {
            let connection = try Connection(location.uri, application: application)
            try connection.run(setUp)
            self.connection = connection
            return connection
        } catch {
            throw SpoolError(error)
        }
    }

    /// Every look takes the same few rows off an index, and a planner that believes the table to be empty must not be
    /// led to read all of it. What a node has open that sleeps, or is cut off, ends before its lease does: the rows
    /// that it holds are to be others'. (Over a Unix socket the settings of TCP mean nothing.)
    private var setUp: [Query] {
        [
            Query("SET search_path = \"\(location.schema)\""), Query("SET enable_seqscan = off"),
            Query("SET enable_bitmapscan = off"), Query("SET synchronous_commit = on"),
            Query("SET default_transaction_isolation = 'read committed'"), Query("SET jit = off"),
            Query("SET lock_timeout = '10s'"), Query("SET idle_in_transaction_session_timeout = '10s'"),
            Query("SET tcp_keepalives_idle = 4"), Query("SET tcp_keepalives_interval = 2"),
            Query("SET tcp_keepalives_count = 3"), Query("SET tcp_user_timeout = '10s'"),
        ]
    }

    @discardableResult
    func run(_ queries: [Query]) throws(SpoolError) -> [Rows] {
        let connection = try open()
        let begins = wantsBegin ? [Query("BEGIN"), Query("SELECT pg_current_xact_id()")] : []
        do throws(PostgreSQLError) {
            let rows = try connection.run(begins + queries)
            guard wantsBegin else { return rows }
            wantsBegin = false
            transactionID = rows[1].integer(0, 0)
            return Array(rows.dropFirst(begins.count))
        } catch {
            throw SpoolError(error)
        }
    }

    @discardableResult
    func run(_ text: String, _ parameters: [Parameter] = []) throws(SpoolError) -> Rows {
        try run([Query(text, parameters)])[0]
    }

    /// Waits until something was notified, `other` can be read, or `seconds` have passed.
    func listen(within seconds: Double, or other: CInt) throws(SpoolError) {
        let connection = try open()
        do throws(PostgreSQLError) {
            _ = try connection.notifications(within: seconds, or: other)
        } catch {
            throw SpoolError(error)
        }
    }

    // MARK: Transactions

    /// All of `body`, or nothing of it.
    /// - Parameter body: gives, beside its value, the last statements; they go out with COMMIT.
    func transaction<Value>(_ body: () throws(SpoolError) -> (Value, [Query])) throws(SpoolError) -> Value {
        wantsBegin = true
        transactionID = nil
        let value: Value
        let last: [Query]
        do throws(SpoolError) {
            (value, last) = try body()
            if wantsBegin, last.isEmpty { try run([]) }
        } catch {
            rollBack()
            throw error
        }
        try commit(last)
        return value
    }

    private func commit(_ last: [Query]) throws(SpoolError) {
        let mark = String(UInt64.random(in: 0...UInt64.max), radix: 36)
        do throws(SpoolError) {
            try run(last + leave(mark) + [Query("COMMIT")])
        } catch {
            guard connection?.isOpen != true, let id = transactionID else {
                rollBack()
                throw error
            }
            wantsBegin = false
            guard try tookPlace(id, mark, error) else { throw error }
        }
    }

    private func leave(_ mark: String) -> [Query] {
        guard let marksOf else { return [] }
        return FleetSettings(node: marksOf).set(FleetSettings.mark, mark)
    }

    private func rollBack() {
        wantsBegin = false
        guard let connection, connection.isOpen else { return }
        do throws(PostgreSQLError) { try connection.run("ROLLBACK") } catch { close() }
    }

    /// For so long an answer waits for the server to say what became of a transaction.
    private static let doubtSecondsMax = 5.0
    private static let doubtStepMicroseconds: UInt32 = 100_000

    /// The connection was lost while COMMIT was under way: whether it took place. `error` where nobody says so in time,
    /// or this connection leaves no marks.
    ///
    /// The transaction's number tells no more than that it is over: a server that has crashed gives numbers once more
    /// whose transactions had left nothing on disk, and would call another's commit this one's.
    private func tookPlace(_ id: Int64, _ mark: String, _ error: SpoolError) throws(SpoolError) -> Bool {
        let tries = Int(Self.doubtSecondsMax * 1_000_000) / Int(Self.doubtStepMicroseconds)
        for _ in 0..<tries {
            if let rows = try? run([
                Query(Self.isOver, [.text("\(id)")]),
                Query(Self.isMarked, [.integer(marksOf ?? -1), .text(FleetSettings.mark), .text(mark)]),
            ]), rows[0].integer(0, 0) != 0 {
                guard marksOf != nil else { throw error }
                return rows[1].count == 1
            }
            usleep(Self.doubtStepMicroseconds)
        }
        throw .unwritable(message: "\(error.message); whether the last transaction took place is not known")
    }

    /// Not where the server has not noticed yet that the connection is gone.
    private static let isOver = """
        SELECT CASE WHEN $1::text::xid8 < pg_snapshot_xmax(pg_current_snapshot())
        THEN coalesce(pg_xact_status($1::text::xid8), '') <> 'in progress' ELSE true END
        """
    private static let isMarked = "SELECT 1 FROM settings WHERE node = $1::int8 AND name = $2 AND value = $3"
}

extension SpoolError {
    init(_ error: PostgreSQLError) {
        let message = "PostgreSQL: \(error.message)"
        switch error {
        case .library: self = .failed(message: message)
        case .unavailable: self = .unwritable(message: message)
        case .refused(PostgreSQLError.uniqueViolation, _): self = .conflict(message: message)
        // No rights, no room, going down, read-only, in the way of each other: it may be otherwise the next time.
        case .refused(let state, _) where Self.passing.contains { state.hasPrefix($0) }:
            self = .unwritable(message: message)
        case .refused: self = .failed(message: message)
        }
    }

    private static let passing = ["08", "25", "28", "40", "42501", "53", "55", "57", "58"]
}
