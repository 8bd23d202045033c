// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailJob
import MailWire
import NIOCore
import NIOPosix

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

/// A job that is one run of a program: it gets the job's line on its standard input, and its exit status decides.
///
/// Each run has a thread that waits for it; there are as many as may run at a time.
package final class ExecKind: ConfiguredKind {
    package let type = ExecSchema.type
    private let loop: any EventLoop
    private let observer: any KindObserver
    private var settings: ExecSettings
    private var turnstile: Turnstile
    private var workers = Limits.workersDefault
    private var threads: NIOThreadPool?
    /// How many `threads` are.
    private var threadCount = 0
    private let stopSign = StopSign()
    private var isClosed = false
    private var running = 0
    private var closers: [() -> Void] = []

    /// A job whose program was configured when it came and is not now is looked at again after so long.
    private static let missingProgramSeconds = 60.0

    package static func schema(_ settings: ExecSettings) -> any JobSchema {
        ExecSchema(programs: settings.programs.map(\.name))
    }

    package static func plan(_ settings: ExecSettings) -> ExecSettings { settings }

    package init(_ plan: ExecSettings, loop: any EventLoop, observer: any KindObserver) {
        settings = plan
        self.loop = loop
        self.observer = observer
        turnstile = Turnstile(limit: 1)
        staffed(by: workers)
    }

    package func apply(_ plan: ExecSettings) {
        settings = plan
        staffed(by: workers)
    }

    package func staffed(by workers: Int) {
        self.workers = workers
        turnstile.limit = settings.concurrencyMax ?? max(1, workers / 2)
    }

    /// Programs that still run are told to end.
    package func close(done: @escaping () -> Void) {
        isClosed = true
        closers.append(done)
        stopSign.raise()
        windDown()
    }

    private func windDown() {
        guard isClosed, running == 0 else { return }
        threads?.shutdownGracefully { _ in }
        threads = nil
        let closers = self.closers
        self.closers = []
        for closer in closers { closer() }
    }

    package var reports: [TransportReport] { [] }

    // MARK: One job

    package func run(_ work: Work, done: @escaping (WorkResult) -> Void) {
        let fields = ExecFields(work.body)
        guard !isClosed else { return done(.waits("maild", Self.stopping, seconds: 0.1)) }
        guard let program = settings.programs.first(where: { $0.name == fields.program }) else {
            let cause = Reply(0, "", "[exec.\(fields.program)] is not configured")
            return done(.waits(type, cause, seconds: Self.missingProgramSeconds))
        }
        switch turnstile.enter(program.name, atMost: program.concurrencyMax, at: loop.seconds) {
        case .shut(let seconds, let cause): done(.waits(program.name, cause, seconds: seconds))
        case .open(let isProbe):
            start(program, work) { [self] end in finish(fields, end, isProbe, done) }
        }
    }

    private static let stopping = Reply(0, "", "maild is stopping")

    private func start(_ settings: ProgramSettings, _ work: Work, done: @escaping (ProgramEnd) -> Void) {
        let program = Program(
            command: settings.command, environment: environment(settings, work), directory: settings.directory,
            secondsMax: settings.secondsMax)
        running += 1
        pool().runIfActive(eventLoop: loop) { [stopSign] in
            // A line as it was submitted, so that a program that reads lines finds one.
            var input = work.body
            input.writeStaticString("\n")
            return input.withUnsafeReadableBytes { program.run(input: $0, stop: stopSign.descriptor) }
        }
        .assumeIsolated().whenComplete { [self] result in
            running -= 1
            done((try? result.get()) ?? ProgramEnd(.stopped))
            windDown()
        }
    }

    /// More threads where more may run than there are; those of the old pool end with their programs.
    private func pool() -> NIOThreadPool {
        if let threads, threadCount >= turnstile.limit { return threads }
        threads?.shutdownGracefully { _ in }
        let threads = NIOThreadPool(numberOfThreads: turnstile.limit)
        threads.start()
        self.threads = threads
        threadCount = turnstile.limit
        return threads
    }

    /// Ours has more than a program should see: sockets, credentials, what systemd says to us.
    private func environment(_ settings: ProgramSettings, _ work: Work) -> [String] {
        var variables = [
            "PATH=/usr/local/bin:/usr/bin:/bin", "MAILD_JOB=\(work.job)", "MAILD_ATTEMPT=\(work.attempt)",
            "MAILD_PROGRAM=\(settings.name)",
        ]
        // OpenTelemetry, "Environment Variables as Context Propagation Carriers": the fields' names in capitals.
        for (name, value) in work.trace?.fields ?? [] { variables.append("\(name.uppercased())=\(value)") }
        for name in settings.environment {
            guard let value = getenv(name) else { continue }
            variables.removeAll { $0.hasPrefix("\(name)=") }
            variables.append("\(name)=\(String(cString: value))")
        }
        return variables
    }

    private func finish(
        _ fields: ExecFields, _ end: ProgramEnd, _ isProbe: Bool, _ done: (WorkResult) -> Void
    ) {
        let name = fields.program
        var trouble: Reply?
        if case .unstarted(let words) = end.cause { trouble = Reply(0, "", words) }
        let news = turnstile.leave(
            name, isProbe: isProbe, trouble: trouble, at: loop.seconds, chance: Double.random(in: 0..<1))
        var wait = 0.1
        switch news {
        case .away(let seconds):
            wait = seconds
            observer.away(name, cause: trouble?.text ?? "", seconds: seconds)
        case .back: observer.back(name)
        case nil: break
        }
        guard let verdict = end.verdict else { return done(.waits(name, trouble ?? Self.stopping, seconds: wait)) }
        var outcome = WorkResult(verdict, for: name, by: type)
        outcome.ref = fields.ref
        done(outcome)
    }
}

/// A pipe whose other end is closed when everything is to end: whoever polls it sees that it hangs up.
private final class StopSign: @unchecked Sendable {
    let descriptor: CInt
    /// On the loop alone.
    private var other: CInt

    /// Without descriptors there is none, and programs have the whole of their time.
    init() {
        var ends: [CInt] = [-1, -1]
        if pipe(&ends) == 0 {
            for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
        }
        (descriptor, other) = (ends[0], ends[1])
    }

    func raise() {
        if other >= 0 { close(other) }
        other = -1
    }

    deinit {
        raise()
        if descriptor >= 0 { close(descriptor) }
    }
}
