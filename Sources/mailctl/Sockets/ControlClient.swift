// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailWire

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

/// Calls to the operators' socket, one after the other (Varlink: docs/protocol.md § Control).
struct ControlClient: ~Copyable {
    /// maild answers in milliseconds; what takes longer is stuck.
    static let answerSecondsUsual = 30.0
    /// A page of 1,000 jobs with 1,000 recipients each.
    private static let answerBytesMax = 256 << 20

    private let stream: UnixStream
    private let answerSecondsMax: Double
    private var replies = Framer.varlink(bytesMax: Self.answerBytesMax)

    init(_ options: CommonOptions, answerSecondsMax: Double = Self.answerSecondsUsual) throws(Failure) {
        self.answerSecondsMax = answerSecondsMax
        stream = try options.connect(to: .control)
    }

    /// Another daemon's socket that speaks as maild's does.
    init(path: String, answerSecondsMax: Double = Self.answerSecondsUsual) throws(Failure) {
        self.answerSecondsMax = answerSecondsMax
        stream = try UnixStream(connectingTo: path, door: .control)
    }

    /// A method of maild's own interface, without the interface's name.
    mutating func call(_ method: String, _ parameters: JSONObject = [:]) throws(Failure) -> JSONValue {
        try call(VarlinkCall(method: "\(ControlInterface.name).\(method)", parameters: parameters))
    }

    /// The same; nil where the answer is this error of maild's interface.
    mutating func call(
        _ method: String, _ parameters: JSONObject, unless error: String
    ) throws(Failure) -> JSONValue? {
        try send(VarlinkCall(method: "\(ControlInterface.name).\(method)", parameters: parameters).bytes)
        let reply = try nextReply(within: answerSecondsMax)
        if reply.error == "\(ControlInterface.name).\(error)" { return nil }
        return try Self.parameters(of: reply)
    }

    mutating func call(_ call: VarlinkCall) throws(Failure) -> JSONValue {
        try send(call.bytes)
        return try Self.parameters(of: nextReply(within: answerSecondsMax))
    }

    // MARK: Several replies

    /// Asks for several replies; `next` gives them.
    mutating func begin(_ method: String, _ parameters: JSONObject) throws(Failure) {
        try send(VarlinkCall(method: "\(ControlInterface.name).\(method)", parameters: parameters, more: true).bytes)
    }

    /// The next reply to what was begun; nil where none came within so many seconds (nil: however long it takes).
    mutating func next(within seconds: Double?) throws(Failure) -> JSONValue? {
        guard let message = try receive(within: seconds) else { return nil }
        return try Self.parameters(of: Self.reply(message))
    }

    /// Calls a method that gives several replies, and hands them on up to the last one.
    /// - Parameter patience: how long each may take, in seconds; nil: however long.
    mutating func stream(
        _ method: String, _ parameters: JSONObject, patience: Double? = answerSecondsUsual,
        _ each: (JSONValue) throws(Failure) -> Void
    ) throws(Failure) {
        try begin(method, parameters)
        while true {
            let reply = try nextReply(within: patience)
            try each(Self.parameters(of: reply))
            if !reply.continues { return }
        }
    }

    private mutating func nextReply(within seconds: Double?) throws(Failure) -> VarlinkReply {
        guard let message = try receive(within: seconds) else {
            throw Failure(.tryAgain, "maild did not answer within \(Int(seconds ?? 0)) s")
        }
        return try Self.reply(message)
    }

    private static func reply(_ message: [UInt8]) throws(Failure) -> VarlinkReply {
        do throws(JSONError) {
            return try VarlinkReply(parsing: message)
        } catch {
            throw .strangeAnswer("no Varlink reply: byte \(error.offset): \(error.reason)")
        }
    }

    private static func parameters(of reply: VarlinkReply) throws(Failure) -> JSONValue {
        if let error = reply.error { throw ControlError.failure(error, .object(reply.parameters)) }
        return .object(reply.parameters)
    }

    private func send(_ bytes: [UInt8]) throws(Failure) {
        var rest = bytes[...]
        while !rest.isEmpty {
            switch rest.withUnsafeBytes({ stream.send($0) }) {
            case .bytes(let count): rest = rest.dropFirst(count)
            case .later:
                if !stream.wait(for: POLLOUT, seconds: answerSecondsMax) {
                    throw Failure(.tryAgain, "maild does not read what it is sent")
                }
            // An answer may have come before the end; if not, reading says so.
            case .closed: return
            case .failed(let code): throw .system(.inputOutput, "sending to maild", code)
            }
        }
    }

    /// nil where nothing came in time.
    private mutating func receive(within seconds: Double?) throws(Failure) -> [UInt8]? {
        while true {
            if let message = try nextMessage() { return message }
            let transfer = withUnsafeTemporaryAllocation(byteCount: Descriptor.pieceBytes, alignment: 1) { room in
                let transfer = stream.receive(room)
                if case .bytes(let count) = transfer { replies.append(room[..<count]) }
                return transfer
            }
            switch transfer {
            case .bytes: continue
            case .later: if !stream.wait(for: POLLIN, seconds: seconds) { return nil }
            case .closed: throw Failure(.tryAgain, "maild closed the connection without an answer")
            case .failed(let code): throw .system(.inputOutput, "reading from maild", code)
            }
        }
    }

    private mutating func nextMessage() throws(Failure) -> [UInt8]? {
        do throws(Framer.TooLong) {
            return try replies.next()
        } catch {
            throw .strangeAnswer("longer than \(Self.answerBytesMax) bytes")
        }
    }
}
