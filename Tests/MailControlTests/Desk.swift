// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import Glibc
import MailControl
import MailDispatch
import MailJob
import MailSpool
import MailTelemetry
import MailTransport
import MailWire
import NIOCore
import NIOPosix
import Synchronization
import Systemd
import TestSupport

private struct NoLog: JournalSink {
    func write(_ records: UnsafeRawBufferPointer) {}
}

/// A control socket with everything behind it: a spool in memory, a dispatcher, and a kind that never ends a job.
final class Desk: Sendable {
    static let start = WallTime(milliseconds: 1_800_000_000_000)

    struct Still: Clock {
        func now() -> WallTime { Desk.start }
        func monotonic() -> Double { 5 }
    }

    let dispatcher: Dispatcher
    let spool: Spool
    let keeping = MemoryKeeping()
    let reloads = Mutex<[Result<ReloadOutcome, ReloadFailure>]>([])
    let isDraining = Mutex(false)
    /// By relay.
    let checks = Mutex<[String: CheckReport]>([:])
    private let server: Mutex<ControlServer?> = Mutex(nil)
    private let name: String

    private static let count = Atomic(0)

    init(workers: Int = 2, isPaused: Bool = true) async throws {
        let events = Events(kinds: ["email"], journal: Journal(NoLog(), fieldPrefix: ""))
        dispatcher = Dispatcher(
            on: MultiThreadedEventLoopGroup.singleton.next(), kinds: [Endless()],
            settings: DispatchSettings(workers: workers), workers: workers, isPaused: isPaused, clock: Still(),
            events: events)
        spool = try Spool(keeping, clock: Still(), limits: SpoolLimits(), observer: Quiet(), listener: dispatcher)
        name = "maild-control-\(getpid())-\(Self.count.add(1, ordering: .relaxed).newValue)"
        try await dispatcher.loop.submit { [dispatcher, spool] in dispatcher.start(spool) }.get()
        let control = ControlServer(on: MultiThreadedEventLoopGroup.singleton.next(), subject: subject(events))
        server.withLock { $0 = control }
        try await control.serve(AbstractSocket(name).listen()).get()
    }

    private func subject(_ events: Events) -> ControlSubject {
        ControlSubject(
            spool: spool, dispatcher: dispatcher, events: events, clock: Still(), schemas: [EmailSchema()],
            startedAt: Self.start, state: { "running" },
            drain: { [weak self] isOn, done in
                done(
                    self?.isDraining.withLock { was in
                        defer { was = isOn }
                        return was
                    } ?? false)
            },
            reload: { [weak self] answer in
                let result = self?.reloads.withLock { $0.removeFirst() }
                answer(result ?? .failure(ReloadFailure(message: "gone")))
            },
            check: { [weak self] name, answer in answer(self?.checks.withLock { $0[name] }) })
    }

    private final class Quiet: SpoolObserver {
        func committed(rows: Int, seconds: Double) {}
        func spoolFailed(_ error: SpoolError) {}
    }

    private final class Endless: JobKind {
        let type = "email"
        func run(_ work: Work, done: @escaping (WorkResult) -> Void) {}
        func close(done: @escaping () -> Void) { done() }
        var reports: [TransportReport] { [TransportReport(name: "main", transport: "smtp", address: "mx:25")] }
    }

    func close() async throws { try await server.withLock { $0 }?.close().get() }

    /// Keeps a job for each line and returns their ids.
    func submit(_ lines: [String], delay: Double? = nil) async throws -> [JobID] {
        let sink = Sink()
        var at = 0
        let submissions = lines.map { line in
            defer { at += line.utf8.count }
            return Submission(
                range: at..<at + line.utf8.count, dueAt: delay.map { Self.start + $0 }, expiresAt: Self.start + 1000)
        }
        spool.append([
            Chunk(bytes: ByteBuffer(string: lines.joined()), submissions: submissions, uid: 1000, sink: sink)
        ])
        return try await sink.ids.until { !$0.isEmpty }
    }

    private final class Sink: ReceiptSink {
        let ids = Watched<[JobID]>([])
        func committed(_ chunks: [Chunk]) {
            var kept: [JobID] = []
            for chunk in chunks { chunk.forEachKept { kept.append($1) } }
            ids.change { [kept] in $0 += kept }
        }
    }

    func caller() throws -> Caller {
        Caller(try AbstractSocket(name).connected())
    }
}

/// A Varlink client that blocks, for half a minute at most.
final class Caller: @unchecked Sendable {
    private let descriptor: CInt
    private var read: [UInt8] = []

    init(_ descriptor: CInt) {
        self.descriptor = descriptor
        var time = timeval(tv_sec: 30, tv_usec: 0)
        setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &time, socklen_t(MemoryLayout<timeval>.size))
    }

    deinit { close(descriptor) }

    /// Each message with the NUL that ends it.
    func write(_ messages: String...) {
        var bytes = Array(messages.map { $0 + "\0" }.joined().utf8)[...]
        while !bytes.isEmpty {
            let count = bytes.withUnsafeBytes { send(descriptor, $0.baseAddress, $0.count, CInt(MSG_NOSIGNAL)) }
            if count <= 0 { return }
            bytes = bytes.dropFirst(count)
        }
    }

    /// As far as this side knows.
    var isOpen: Bool { descriptor >= 0 }

    func finish() { shutdown(descriptor, CInt(SHUT_WR)) }

    /// nil at the end of the connection.
    func reply() -> VarlinkReply? {
        while true {
            if let end = read.firstIndex(of: 0) {
                defer { read.removeSubrange(...end) }
                return try? VarlinkReply(parsing: read[..<end])
            }
            var bytes = [UInt8](repeating: 0, count: 65_536)
            let count = recv(descriptor, &bytes, bytes.count, 0)
            guard count > 0 else { return nil }
            read += bytes[..<count]
        }
    }

    func call(_ method: String, _ parameters: JSONObject = [:]) -> VarlinkReply? {
        write(String(decoding: VarlinkCall(method: method, parameters: parameters).bytes.dropLast(), as: UTF8.self))
        return reply()
    }

    /// A method of io.maild.Control.
    func control(_ member: String, _ parameters: JSONObject = [:]) -> VarlinkReply? {
        call("\(ControlInterface.name).\(member)", parameters)
    }
}
