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
    private static let answerSecondsUsual = 30.0
    /// A page of 1,000 jobs with 1,000 recipients each.
    private static let answerBytesMax = 256 << 20

    private let stream: UnixStream
    private let answerSecondsMax: Double
    private var replies = Framer.varlink(bytesMax: Self.answerBytesMax)

    init(_ options: CommonOptions, answerSecondsMax: Double = Self.answerSecondsUsual) throws(Failure) {
        self.answerSecondsMax = answerSecondsMax
        stream = try options.connect(to: .control)
    }

    /// A method of maild's own interface, without the interface's name.
    mutating func call(_ method: String, _ parameters: JSONObject = [:]) throws(Failure) -> JSONValue {
        try call(VarlinkCall(method: "\(ControlInterface.name).\(method)", parameters: parameters))
    }

    mutating func call(_ call: VarlinkCall) throws(Failure) -> JSONValue {
        try send(call.bytes)
        let message = try receive()
        let reply: VarlinkReply
        do throws(JSONError) {
            reply = try VarlinkReply(parsing: message)
        } catch {
            throw .strangeAnswer("no Varlink reply: byte \(error.offset): \(error.reason)")
        }
        if let error = reply.error { throw ControlError.failure(error, .object(reply.parameters)) }
        return .object(reply.parameters)
    }

    private func send(_ bytes: [UInt8]) throws(Failure) {
        var rest = bytes[...]
        while !rest.isEmpty {
            switch rest.withUnsafeBytes({ stream.send($0) }) {
            case .bytes(let count): rest = rest.dropFirst(count)
            case .later: try wait(for: POLLOUT)
            // An answer may have come before the end; if not, reading says so.
            case .closed: return
            case .failed(let code): throw .system(.inputOutput, "sending to maild", code)
            }
        }
    }

    private mutating func receive() throws(Failure) -> [UInt8] {
        while true {
            if let message = try nextMessage() { return message }
            let transfer = withUnsafeTemporaryAllocation(byteCount: Descriptor.pieceBytes, alignment: 1) { room in
                let transfer = stream.receive(room)
                if case .bytes(let count) = transfer { replies.append(room[..<count]) }
                return transfer
            }
            switch transfer {
            case .bytes: continue
            case .later: try wait(for: POLLIN)
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

    private func wait(for events: Int32) throws(Failure) {
        if !stream.wait(for: events, seconds: answerSecondsMax) {
            throw Failure(.tryAgain, "maild did not answer within \(Int(answerSecondsMax)) s")
        }
    }
}
