// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailJob
import Testing

@Suite("WallTime and the system's clock")
struct WallTimeTests {
    @Test(
        "seconds are added to the millisecond",
        arguments: [(0.0, 0), (1.5, 1500), (-2, -2000), (0.0004, 0), (31_536_000, 31_536_000_000)])
    func adding(seconds: Double, milliseconds: Int64) {
        let start = WallTime(milliseconds: 1_000_000)
        #expect((start + seconds).milliseconds == 1_000_000 + milliseconds)
    }

    @Test("the distance of two moments has a sign")
    func distance() {
        let early = WallTime(milliseconds: 1000)
        let late = WallTime(milliseconds: 3500)
        #expect(late.seconds(since: early) == 2.5)
        #expect(early.seconds(since: late) == -2.5)
        #expect(early < late)
    }

    @Test("the system's clock is past 2026 and its monotonic time never falls")
    func systemClock() {
        let clock = SystemClock()
        #expect(clock.now() > WallTime(milliseconds: 1_767_225_600_000))
        let readings = (0..<1000).map { _ in clock.monotonic() }
        #expect(readings == readings.sorted())
    }
}
