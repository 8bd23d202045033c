// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import Glibc
import MailIntake
import MailJob
import MailSpool
import MailTelemetry
import MailWire
import NIOCore
import NIOPosix
import Synchronization
import Systemd
import TestSupport

struct NoLog: JournalSink {
    func write(_ records: UnsafeRawBufferPointer) {}
}

/// An intake behind a real socket, over a spool in memory.
final class Door: Sendable {
    let intake: Intake
    let spool: Spool
    private let name: String

    private static let count = Atomic(0)

    init(
        limits: SpoolLimits = SpoolLimits(), fileThreads: FileThreads = FileThreads(),
        _ change: (inout IntakeSettings) -> Void = { _ in }
    ) async throws {
        var settings = IntakeSettings()
        settings.lingerSeconds = 0.05
        change(&settings)
        let quiet = Quiet()
        let loop = MultiThreadedEventLoopGroup.singleton.next()
        let outcomes = Outcomes(on: loop)
        spool = try Spool(
            MemoryKeeping(), clock: SystemClock(), limits: limits, observer: quiet,
            listener: SpoolListeners([quiet, outcomes]))
        let events = Events(kinds: [EmailSchema.type], journal: Journal(NoLog(), fieldPrefix: ""))
        intake = Intake(
            on: loop, spool: spool, schemas: [EmailSchema()], settings: settings, outcomes: outcomes,
            clock: SystemClock(), events: events, fileThreads: fileThreads)
        name = "maild-intake-\(getpid())-\(Self.count.add(1, ordering: .relaxed).newValue)"
        try await intake.serve(AbstractSocket(name).listen()).get()
    }

    private final class Quiet: SpoolListener, SpoolObserver {
        func committed(rows: Int, seconds: Double) {}
        func spoolFailed(_ error: SpoolError) {}
        func committed(_ chunks: [Chunk], settled: [JobID]) {}
        func changed(_ jobs: [ChangedJob]) {}
    }

    func client() throws -> Client {
        Client(try AbstractSocket(name).connected())
    }

    /// The line as the spool has it.
    func line(of answer: JSONValue?) async throws -> String? {
        guard let id = answer?["job"]?.string.flatMap({ JobID($0) }) else { return nil }
        let found = Watched<String??>(nil)
        spool.ask { reading in
            let body = try? reading.body(id)
            found.change { $0 = .some(body.flatMap { $0 }.map { String(buffer: $0) }) }
        }
        return try await found.until { $0 != nil } ?? nil
    }

    func drain() -> Watched<Bool> {
        let done = Watched(false)
        intake.loop.execute { [intake] in intake.drain { done.change { $0 = true } } }
        return done
    }
}

/// A client that blocks, for half a minute at most.
final class Client: @unchecked Sendable {
    private let descriptor: CInt
    private var read: [UInt8] = []

    init(_ descriptor: CInt) {
        self.descriptor = descriptor
        var time = timeval(tv_sec: 30, tv_usec: 0)
        for option in [SO_RCVTIMEO, SO_SNDTIMEO] {
            setsockopt(descriptor, SOL_SOCKET, option, &time, socklen_t(MemoryLayout<timeval>.size))
        }
    }

    deinit { close(descriptor) }

    /// False where the other side has gone.
    @discardableResult
    func write(_ text: String) -> Bool {
        let bytes = Array(text.utf8)
        var sent = 0
        while sent < bytes.count {
            let count = bytes[sent...].withUnsafeBytes {
                send(descriptor, $0.baseAddress, $0.count, CInt(MSG_NOSIGNAL))
            }
            if count <= 0 { return false }
            sent += count
        }
        return true
    }

    /// In one message, which has these descriptors with it.
    @discardableResult
    func write(_ text: String, passing files: [PassedFile]) -> Bool {
        // Not closed before they are sent.
        defer { withExtendedLifetime(files) {} }
        let descriptors = files.map(\.number)
        var bytes = Array(text.utf8)
        let head = MemoryLayout<cmsghdr>.size
        let length = head + 4 * descriptors.count
        var header = cmsghdr()
        (header.cmsg_len, header.cmsg_level, header.cmsg_type) = (length, SOL_SOCKET, CInt(SCM_RIGHTS))
        var control = [UInt8](repeating: 0, count: (length + 7) & ~7)
        control.withUnsafeMutableBytes { room in
            room.storeBytes(of: header, as: cmsghdr.self)
            descriptors.withUnsafeBytes { UnsafeMutableRawBufferPointer(rebasing: room[head...]).copyMemory(from: $0) }
        }
        let count = bytes.withUnsafeMutableBytes { bytes in
            control.withUnsafeMutableBytes { control in
                var part = iovec(iov_base: bytes.baseAddress, iov_len: bytes.count)
                return withUnsafeMutablePointer(to: &part) { part in
                    var message = msghdr()
                    message.msg_iov = part
                    message.msg_iovlen = 1
                    message.msg_control = control.baseAddress
                    message.msg_controllen = control.count
                    return sendmsg(descriptor, &message, CInt(MSG_NOSIGNAL))
                }
            }
        }
        return count > 0 && (count == bytes.count || write(String(decoding: bytes[count...], as: UTF8.self)))
    }

    /// Writes the line again and again, until for a while nothing more is taken, or `linesMax` times.
    /// - Returns: how many whole lines were written; the last may be cut off, and `rest` is what is missing of it.
    func writeUntilStuck(_ line: String, linesMax: Int) -> (lines: Int, rest: String) {
        let bytes = Array(line.utf8)
        var lines = 0
        var sent = 0
        while lines < linesMax {
            let count = bytes[sent...].withUnsafeBytes {
                send(descriptor, $0.baseAddress, $0.count, CInt(MSG_NOSIGNAL | MSG_DONTWAIT))
            }
            if count > 0 {
                sent += count
            } else if !waits(for: POLLOUT, milliseconds: 300) {
                break
            }
            if sent == bytes.count { (lines, sent) = (lines + 1, 0) }
        }
        return (lines, sent == 0 ? "" : String(decoding: bytes[sent...], as: UTF8.self))
    }

    /// Whether it happens in this time.
    private func waits(for events: CInt, milliseconds: CInt) -> Bool {
        var polled = pollfd(fd: descriptor, events: Int16(events), revents: 0)
        return poll(&polled, 1, milliseconds) > 0
    }

    /// Nothing is to be read for this time.
    func isSilent(milliseconds: CInt) -> Bool { read.isEmpty && !waits(for: POLLIN, milliseconds: milliseconds) }

    func finish() { shutdown(descriptor, CInt(SHUT_WR)) }

    /// Without its newline; nil at the end.
    func line() -> String? {
        while true {
            if let end = read.firstIndex(of: 0x0A) {
                defer { read.removeSubrange(...end) }
                return String(decoding: read[..<end], as: UTF8.self)
            }
            var bytes = [UInt8](repeating: 0, count: 4096)
            let count = recv(descriptor, &bytes, bytes.count, 0)
            guard count > 0 else { return nil }
            read += bytes[..<count]
        }
    }

    func answer() -> JSONValue? { line().flatMap { try? JSONValue(parsing: $0) } }

    /// All answers up to the end of the connection.
    func answers() -> [JSONValue] {
        var answers: [JSONValue] = []
        while let line = line() { answers.append((try? JSONValue(parsing: line)) ?? .string(line)) }
        return answers
    }
}
