// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import Glibc

/// A statement with its values. Each text is prepared once a connection.
package struct Query {
    let text: String
    let parameters: [Parameter]

    package init(_ text: String, _ parameters: [Parameter] = []) {
        self.text = text
        self.parameters = parameters
    }
}

/// One connection, for one thread; always in pipeline mode, so that many statements take one round trip.
///
/// https://www.postgresql.org/docs/15/libpq-pipeline-mode.html: non-blocking, because client and server could otherwise
/// each wait for the other to read. Every wait has a deadline; whoever misses it counts as gone.
package final class Connection {
    private let library: LibPQ
    private var handle: OpaquePointer?
    /// Names of what is prepared, by its text.
    private var prepared: [String: String] = [:]
    private let answerSeconds: Double

    /// - Parameters:
    ///   - location: a URI or conninfo string, as libpq takes them.
    ///   - application: as which pg_stat_activity shows it.
    ///   - connectSeconds: to connect within, for each address; at least 2.
    ///   - answerSeconds: in which every round trip must be over.
    package init(
        _ location: String, application: String, connectSeconds: Int = 5, answerSeconds: Double = 15
    ) throws(PostgreSQLError) {
        library = try LibPQ.load()
        self.answerSeconds = answerSeconds
        // What stands in the location comes after these, and so outweighs them.
        let settings: [(String, String)] = [
            ("application_name", application), ("connect_timeout", "\(connectSeconds)"), ("keepalives_idle", "10"),
            ("keepalives_interval", "5"), ("keepalives_count", "3"), ("client_encoding", "UTF8"),
            // Milliseconds after which what was sent and is not acknowledged ends the connection: a cut network says
            // nothing, and clients wait.
            ("tcp_user_timeout", "5000"),
            ("dbname", location),
        ]
        handle = Self.connect(settings, library)
        guard let handle, library.status(handle) == PQ.connectionOK else { throw lost() }
        _ = library.setNoticeProcessor(handle, { _, _ in }, nil)
        guard library.setNonBlocking(handle, 1) == 0, library.enterPipelineMode(handle) == 1 else { throw lost() }
    }

    private static func connect(_ settings: [(String, String)], _ library: LibPQ) -> OpaquePointer? {
        let names = settings.map { strdup($0.0) }
        let values = settings.map { strdup($0.1) }
        defer { for text in names + values { free(text) } }
        let ends: [UnsafePointer<CChar>?] = [nil]
        return library.connect(names.map { UnsafePointer($0) } + ends, values.map { UnsafePointer($0) } + ends, 1)
    }

    deinit { close() }

    package func close() {
        library.finish(handle)
        handle = nil
        prepared.removeAll()
    }

    package var isOpen: Bool { handle != nil }

    /// What libpq says of the connection, which is over.
    private func lost(_ reason: String? = nil) -> PostgreSQLError {
        let said = library.errorMessage(handle).map { String(cString: $0) } ?? ""
        let lines = said.split(whereSeparator: \.isNewline).joined(separator: "; ")
        close()
        return .unavailable(reason ?? (lines.isEmpty ? "the connection was lost" : lines))
    }

    // MARK: Statements

    /// All of `queries` in one round trip, outside of a transaction each for itself up to the first that fails.
    /// - Returns: what each gave.
    @discardableResult
    package func run(_ queries: [Query]) throws(PostgreSQLError) -> [Rows] {
        guard let handle else { throw .unavailable("the connection was lost") }
        let deadline = Self.now() + answerSeconds
        var fresh: Set<String> = []
        for query in queries {
            if prepared[query.text] == nil {
                try prepare(query, handle)
                fresh.insert(query.text)
            }
            try send(query, handle)
        }
        guard library.pipelineSync(handle) == 1 else { throw lost() }
        return try results(of: queries, fresh, handle, deadline)
    }

    @discardableResult
    package func run(_ text: String, _ parameters: [Parameter] = []) throws(PostgreSQLError) -> Rows {
        guard let rows = try run([Query(text, parameters)]).first else { throw lost("an answer is missing") }
        return rows
    }

    private func prepare(_ query: Query, _ handle: OpaquePointer) throws(PostgreSQLError) {
        let name = "maild_\(prepared.count)"
        prepared[query.text] = name
        let types = query.parameters.map(\.type)
        guard library.sendPrepare(handle, name, query.text, CInt(types.count), types) == 1 else { throw lost() }
    }

    private func send(_ query: Query, _ handle: OpaquePointer) throws(PostgreSQLError) {
        let name = prepared[query.text] ?? ""
        let count = query.parameters.count
        let lengths = query.parameters.map { CInt($0.bytes?.count ?? 0) }
        let formats = [CInt](repeating: PQ.binary, count: count)
        var values: [UnsafePointer<CChar>?] = []
        let sent = Self.withPointers(query.parameters[...], &values) { values in
            library.sendPrepared(handle, name, CInt(count), values, lengths, formats, PQ.binary)
        }
        guard sent == 1 else { throw lost() }
    }

    /// Calls `body` with the address of each value's bytes, nil for NULL.
    private static func withPointers(
        _ rest: ArraySlice<Parameter>, _ values: inout [UnsafePointer<CChar>?],
        _ body: ([UnsafePointer<CChar>?]) -> CInt
    ) -> CInt {
        guard let first = rest.first else { return body(values) }
        guard let bytes = first.bytes else {
            values.append(nil)
            return withPointers(rest.dropFirst(), &values, body)
        }
        // An empty array has no address of its own, and no address would mean NULL.
        return (bytes.isEmpty ? [0] : bytes).withUnsafeBytes { raw in
            values.append(raw.bindMemory(to: CChar.self).baseAddress)
            return withPointers(rest.dropFirst(), &values, body)
        }
    }

    // MARK: Answers

    private func results(
        of queries: [Query], _ fresh: Set<String>, _ handle: OpaquePointer, _ deadline: Double
    ) throws(PostgreSQLError) -> [Rows] {
        var results: [Rows] = []
        var failure: PostgreSQLError?
        var unprepared = fresh
        for query in queries {
            if unprepared.remove(query.text) != nil {
                let rows = try answer(handle, deadline, &failure)
                if rows == nil { prepared[query.text] = nil }
            }
            if let rows = try answer(handle, deadline, &failure) { results.append(rows) }
        }
        let end = try next(handle, deadline)
        defer { library.clear(end) }
        guard library.resultStatus(end) == PQ.pipelineSync else { throw lost("the answers are out of step") }
        if let failure { throw failure }
        return results
    }

    /// The answer to one command; nil where it failed, or was not tried because one before it had failed.
    private func answer(
        _ handle: OpaquePointer, _ deadline: Double, _ failure: inout PostgreSQLError?
    ) throws(PostgreSQLError) -> Rows? {
        guard let result = try next(handle, deadline) else { throw lost("an answer is missing") }
        // A command's answers end with an empty one.
        while let further = try next(handle, deadline) { library.clear(further) }
        let status = library.resultStatus(result)
        if status == PQ.commandOK || status == PQ.tuplesOK { return Rows(result, library) }
        defer { library.clear(result) }
        if status != PQ.pipelineAborted, failure == nil { failure = refusal(result) }
        if !isOpen, let failure { throw failure }
        return nil
    }

    private func refusal(_ result: OpaquePointer) -> PostgreSQLError {
        let state = library.resultErrorField(result, PQ.sqlState).map { String(cString: $0) } ?? ""
        let message = library.resultErrorField(result, PQ.primaryMessage).map { String(cString: $0) } ?? ""
        // Without a state it is libpq that speaks, of a connection that is gone; and 57P01 to 57P05 end it as well.
        if state.isEmpty || state.hasPrefix("57P") { return lost(message.isEmpty ? nil : message) }
        return .refused(state: state, message: message)
    }

    private func next(_ handle: OpaquePointer, _ deadline: Double) throws(PostgreSQLError) -> OpaquePointer? {
        guard isOpen else { throw .unavailable("the connection was lost") }
        while true {
            let unsent = library.flush(handle)
            guard unsent >= 0 else { throw lost() }
            if library.isBusy(handle) == 0 { return library.getResult(handle) }
            let isThere = try wait(handle, for: POLLIN | (unsent > 0 ? POLLOUT : 0), until: deadline)
            guard isThere else { throw lost("no answer within \(Int(answerSeconds)) s") }
            guard library.consumeInput(handle) == 1 else { throw lost() }
        }
    }

    // MARK: Notifications

    /// Waits until something was notified on a channel that is listened to, another descriptor can be read, or
    /// `seconds` have passed.
    /// - Returns: the channels, one for each notification.
    package func notifications(within seconds: Double, or other: CInt = -1) throws(PostgreSQLError) -> [String] {
        guard let handle else { throw .unavailable("the connection was lost") }
        var found = taken(handle)
        if found.isEmpty, try wait(handle, for: POLLIN, until: Self.now() + seconds, or: other) {
            guard library.consumeInput(handle) == 1 else { throw lost() }
            found = taken(handle)
        }
        return found
    }

    private func taken(_ handle: OpaquePointer) -> [String] {
        var channels: [String] = []
        // struct pgNotify of libpq-fe.h begins with the channel's name.
        while let notify = library.notifies(handle) {
            let name = notify.load(as: UnsafePointer<CChar>?.self)
            channels.append(name.map { String(cString: $0) } ?? "")
            library.freeMemory(notify)
        }
        return channels
    }

    /// False where the time has passed, or only `other` can be read.
    private func wait(
        _ handle: OpaquePointer, for events: CInt, until deadline: Double, or other: CInt = -1
    ) throws(PostgreSQLError) -> Bool {
        var polls = [
            pollfd(fd: library.socket(handle), events: Int16(events), revents: 0),
            pollfd(fd: other, events: Int16(POLLIN), revents: 0),
        ]
        while true {
            let left = max(0, deadline - Self.now())
            let count = poll(&polls, 2, CInt(left * 1000) + (left > 0 ? 1 : 0))
            if count > 0 { return polls[0].revents != 0 }
            if count == 0 { return false }
            guard errno == EINTR else { throw lost("poll: \(String(cString: strerror(errno)))") }
        }
    }

    private static func now() -> Double {
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC, &time)
        return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
    }
}
