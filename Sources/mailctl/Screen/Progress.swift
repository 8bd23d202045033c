// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailJob

/// One line on standard error that is drawn over itself while a long submission runs.
struct Progress {
    /// Ten times a second is as often as an eye can follow.
    static let secondsMin = 0.1
    /// What is over sooner needs no progress.
    private static let patience = 0.3

    private let isShown: Bool
    private let clock: any Clock
    private let started: Double
    private var lastDrawn: Double
    private var isDrawn = false

    init(isShown: Bool, clock: any Clock) {
        self.isShown = isShown
        self.clock = clock
        started = clock.monotonic()
        lastDrawn = started + Self.patience - Self.secondsMin
    }

    var seconds: Double { clock.monotonic() - started }

    /// How long `poll` may sleep, in milliseconds; -1 for as long as it likes.
    var pollMilliseconds: Int32 { isShown ? Int32(Self.secondsMin * 1000) : -1 }

    mutating func draw(_ tally: Tally) {
        let seconds = seconds
        draw(tally.text(seconds: seconds))
    }

    mutating func draw(_ text: @autoclosure () -> String) {
        guard isShown, clock.monotonic() - lastDrawn >= Self.secondsMin else { return }
        lastDrawn = clock.monotonic()
        isDrawn = true
        StandardError.write("\r\u{1B}[K\(text())")
    }

    /// Makes room for other output.
    mutating func clear() {
        guard isDrawn else { return }
        isDrawn = false
        StandardError.write("\r\u{1B}[K")
    }
}
