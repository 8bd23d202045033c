// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailJob

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

/// How long maild is sought again after its connection was lost: so many seconds from the loss on, or from the last
/// answer since.
struct Persistence {
    /// systemd starts a maild that crashed again within two seconds, and one that stops takes twenty at most.
    static let secondsUsual = 60.0
    private static let pauseMin = 0.05
    private static let pauseMax = 1.0

    private let secondsMax: Double
    private let clock: any Clock
    private var deadline: Double?
    private var pause = Persistence.pauseMin

    init(secondsMax: Double = Self.secondsUsual, clock: any Clock = SystemClock()) {
        self.secondsMax = secondsMax
        self.clock = clock
    }

    /// Seconds for which it was tried, where it was.
    var soughtSeconds: Double? { deadline == nil || secondsMax == 0 ? nil : secondsMax }

    private var left: Double? { deadline.map { $0 - clock.monotonic() } }
    /// There is time to connect once more.
    var mayBegin: Bool { secondsMax > 0 && !isOver }
    var isOver: Bool { left.map { $0 <= 0 } ?? false }
    /// Until it is over; nil while nothing was lost.
    var millisecondsLeft: Int32? { left.map { Int32(min(max(0, $0), 3600) * 1000) + 1 } }

    mutating func lost() {
        if deadline == nil { deadline = clock.monotonic() + secondsMax }
    }

    mutating func rest() { deadline = nil }

    mutating func answered() {
        deadline = nil
        pause = Self.pauseMin
    }

    /// A new connection; nil where there was none in time.
    mutating func connect(
        _ open: () throws(Failure) -> UnixStream
    ) throws(Failure) -> UnixStream? {
        while let left, left > 0 {
            // Nothing tells when a socket that refuses is listened on again, so it is tried, ever more seldom. It waits
            // before the first try, too: a maild that takes connections and drops them must not be hammered.
            usleep(useconds_t(min(pause, left) * 1_000_000))
            pause = min(2 * pause, Self.pauseMax)
            do throws(Failure) { return try open() } catch {
                guard error.status == .unavailable || error.status == .tryAgain else { throw error }
            }
        }
        return nil
    }
}
