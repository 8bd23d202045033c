// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import Glibc
import MailConfiguration
import MailJob
import MailTelemetry
import NIOCore
import NIOPosix
import Synchronization
import Systemd

/// The boot story of a feed, and the way down.
package struct FeedDaemon {
    private let name: String
    private let configurationPath: String?
    private let statusDirectory: String
    private let kinds: [any FeedSettings.Type]

    /// - Parameter statusDirectory: where the socket NAME is made by which `mailctl feeds` asks.
    package init(
        name: String, configurationPath: String?, statusDirectory: String, kinds: [any FeedSettings.Type]
    ) {
        self.name = name
        self.configurationPath = configurationPath
        self.statusDirectory = statusDirectory
        self.kinds = kinds
    }

    /// Reads the configuration and nothing else.
    package func check() throws(FeedFailure) { _ = try load() }

    /// Feeds until SIGTERM or SIGINT. Returns after a clean end.
    package func run() throws(FeedFailure) {
        Self.blockSignals()
        let configuration = try load()
        umask(0o077)
        let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        let loop = group.next()
        let log = FeedLog(feed: name, subject: configuration.kind.subject, level: configuration.logLevel)
        log.started(version: Version.text)
        let feeder = Feeder(configuration, log: log, on: loop)
        let source = try configuration.kind.source(feeder, on: loop)
        try serveMetrics(configuration, feeder)
        let socket = StatusSocket("\(statusDirectory)/\(name)")
        try socket.open(on: loop) { FeedStatus(configuration: configuration, standing: feeder.now).json }
        let heartbeat = FeedHeartbeat(configuration, feeder)
        feeder.start(source)
        heartbeat.begin()
        let signal = Self.waitForSignal()
        log.stopping(signal)
        heartbeat.stopping()
        Self.end(feeder, secondsMax: configuration.drainSecondsMax)
        socket.remove()
        log.stopped()
        log.journal.flush()
        try? group.syncShutdownGracefully()
    }

    private func load() throws(FeedFailure) -> FeedConfiguration {
        guard Self.isName(name) else {
            throw .configuration("a feed's name has 1 to 63 letters, digits, hyphens, underscores or dots")
        }
        do throws(ConfigurationError) {
            return try FeedConfiguration.load(
                name: name, path: configurationPath, kinds: kinds, hostname: Self.hostname())
        } catch {
            throw .configuration(error.description)
        }
    }

    private static func isName(_ name: String) -> Bool {
        (1...63).contains(name.utf8.count) && !name.hasPrefix(".")
            && name.utf8.allSatisfy { HostPort.isLetterOrDigit($0) || [0x2D, 0x2E, 0x5F].contains($0) }
    }

    private static func hostname() -> String {
        var bytes = [CChar](repeating: 0, count: 256)
        guard gethostname(&bytes, bytes.count - 1) == 0 else { return "localhost" }
        return String(decoding: bytes.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    private func serveMetrics(_ configuration: FeedConfiguration, _ feeder: Feeder) throws(FeedFailure) {
        guard let address = configuration.metrics else { return }
        let metrics = FeedMetrics(feed: name, kind: configuration.type, version: Version.text)
        let server = MetricsServer(FeedRoutes(feeder, metrics), on: feeder.loop)
        do {
            _ = try server.bind(host: address.host, port: address.port).wait()
        } catch {
            throw .system("cannot serve metrics at \(address): \(Reason.of(error))")
        }
    }

    private static func end(_ feeder: Feeder, secondsMax: Double) {
        let done = feeder.loop.makePromise(of: Void.self)
        feeder.stop(secondsMax: secondsMax) { done.succeed(()) }
        try? done.futureResult.wait()
    }

    // MARK: Signals

    private static func blockSignals() {
        var set = handled()
        pthread_sigmask(SIG_BLOCK, &set, nil)
        // A peer that hangs up is an error of its own write, not the daemon's end.
        signal(SIGPIPE, SIG_IGN)
    }

    private static func handled() -> sigset_t {
        var set = sigset_t()
        sigemptyset(&set)
        for signal in [SIGTERM, SIGINT] { sigaddset(&set, signal) }
        return set
    }

    private static func waitForSignal() -> String {
        var set = handled()
        var signal: CInt = 0
        while sigwait(&set, &signal) != 0 {}
        return signal == SIGINT ? "SIGINT" : "SIGTERM"
    }
}

extension FeedFailure {
    /// To the journal where standard error leads there, else as one plain line.
    package func tell() {
        guard JournalStream.isStandardError else {
            let text = "maild-feed: \(description)\n"
            _ = write(STDERR_FILENO, text, text.utf8.count)
            return
        }
        let journal = Journal(identifier: "maild-feed", fieldPrefix: "MAILD_")
        journal.write(.error) { line in
            line.message(description)
            line.identify(FeedEventID.startFailed)
        }
        journal.flush()
    }
}

/// Tells systemd how the feed fares: READY, STATUS once a second while it changes, WATCHDOG while the loop moves.
///
/// READY does not wait for the broker: a feed that cannot connect yet is no failed unit, its STATUS says what is wrong.
final class FeedHeartbeat: Sendable {
    private let configuration: FeedConfiguration
    private let feeder: Feeder
    private let notifier = Notifier()
    private let last = Mutex("")

    init(_ configuration: FeedConfiguration, _ feeder: Feeder) {
        self.configuration = configuration
        self.feeder = feeder
    }

    func begin() {
        notifier.ready(status: line)
        feeder.loop.scheduleRepeatedTask(initialDelay: .seconds(1), delay: .seconds(1)) { [self] _ in
            let line = line
            let isNews = last.withLock { last in
                defer { last = line }
                return last != line
            }
            if isNews { notifier.status(line) }
        }
        guard let interval = WatchdogInterval.seconds() else { return }
        notifier.watchdog()
        let half = TimeAmount.microseconds(Int64(interval * 500_000))
        feeder.loop.scheduleRepeatedTask(initialDelay: half, delay: half) { [self] _ in
            if feeder.isMoving { notifier.watchdog() }
        }
    }

    func stopping() { notifier.stopping(status: "stops, " + line) }

    private var line: String { FeedStatus(configuration: configuration, standing: feeder.now).line }
}
