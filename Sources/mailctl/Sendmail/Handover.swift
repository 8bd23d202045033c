// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailWire

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

/// One message on its way to maild: handed over until it is on disk, or until there is no use in trying.
///
/// A restart of maild in the midst is not the caller's business, who has nowhere to keep the message: it is handed over
/// again, with the same idempotency key, so that it becomes one job and not two.
struct Handover {
    /// Open to every user, where the package maild-mta is installed.
    static let socket = "/run/maild/mta.sock"
    private static let secondsMax = 120.0

    let line: [UInt8]

    init(sender: String, recipients: [String], message: [UInt8], reference: String?) {
        let text =
            String(validating: message, as: UTF8.self) ?? String(decoding: SevenBit.message(message), as: UTF8.self)
        var job: JSONObject = [
            "raw": .string(text),
            "envelope": ["from": .string(sender), "to": .array(recipients.map(JSONValue.string))],
            "idempotency_key": .string(Self.freshKey()),
        ]
        if let reference, !reference.isEmpty { job["ref"] = .string(String(reference.prefix(64))) }
        line = Array(JSONValue.object(job).text.utf8) + [0x0A]
    }

    private static func freshKey() -> String {
        var random = SystemRandomNumberGenerator()
        return String(random.next(), radix: 36) + String(random.next(), radix: 36)
    }

    /// The job's id.
    func run() throws(Failure) -> String {
        var persistence = Persistence(secondsMax: Self.secondsMax)
        var stream = try Self.connected()
        while true {
            switch try answer(over: stream) {
            case .taken(let job, _, _): return job
            case .settled(let outcome): return outcome.job
            case .refused(let refusal):
                let isPassing = refusal.name == WireErrorName.draining.rawValue || refusal.name == Self.lost
                persistence.lost()
                guard isPassing, let next = try persistence.connect(Self.connected) else {
                    throw Failure(refusal.status, refusal.text)
                }
                stream = next
            }
        }
    }

    private static func connected() throws(Failure) -> UnixStream { try UnixStream(connectingTo: path, door: .submit) }

    /// No name of the protocol: the connection ended before an answer.
    private static let lost = "lost"

    private func answer(over stream: borrowing UnixStream) throws(Failure) -> Answer {
        var text: [UInt8] = []
        var rest = line[...]
        while true {
            let wanted = rest.isEmpty ? POLLIN : POLLIN | POLLOUT
            guard stream.wait(for: wanted, seconds: Self.secondsMax) else { throw Self.silent }
            if !rest.isEmpty {
                switch rest.withUnsafeBytes({ stream.send($0) }) {
                case .bytes(let count): rest = rest.dropFirst(count)
                case .later: break
                // What maild said before it closed can still be read.
                case .closed: rest = []
                case .failed(let code): throw .system(.inputOutput, "sending to maild", code)
                }
            }
            let transfer = withUnsafeTemporaryAllocation(byteCount: Descriptor.pieceBytes, alignment: 1) { room in
                let transfer = stream.receive(room)
                if case .bytes(let count) = transfer { text += UnsafeRawBufferPointer(rebasing: room[..<count]) }
                return transfer
            }
            if let end = text.firstIndex(of: UInt8(ascii: "\n")) { return try Answer(parsing: Array(text[..<end])) }
            guard text.count <= Self.answerBytesMax else { throw .strangeAnswer("no end") }
            switch transfer {
            case .bytes, .later: continue
            case .failed(let code): throw .system(.inputOutput, "reading from maild", code)
            case .closed: break
            }
            return .refused(.init(name: Self.lost, message: "maild went away", status: .tryAgain, retryAfter: nil))
        }
    }

    private static let answerBytesMax = 1 << 20
    private static let silent = Failure(.tryAgain, "maild did not answer within \(Int(secondsMax)) s")

    private static var path: String {
        if let named = Environment.value(Door.submit.variable) { return named }
        return access(socket, F_OK) == 0 ? socket : Door.submit.defaultPath
    }
}
