// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

/// How many mails a relay answered in the last whole second; a value without a clock.
struct Pace {
    private var second = 0
    private var current = 0
    private var last = 0

    mutating func count(at now: Double) {
        turn(to: Int(now))
        current += 1
    }

    mutating func lastSecond(at now: Double) -> Double {
        turn(to: Int(now))
        return Double(last)
    }

    private mutating func turn(to now: Int) {
        guard now > second else { return }
        last = now == second + 1 ? current : 0
        current = 0
        second = now
    }
}
