// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailIntake
import MailJob
import Testing

struct LonePaceTests {
    private static let quick = Limits.standStillSeconds / 4

    /// One chunk, back after `disk` seconds.
    /// - Returns: whether the loop might have stood still for it.
    private static func submit(_ pace: inout LonePace, at time: inout Double, disk: Double) -> Bool {
        pace.handedOver(1, at: time)
        defer {
            time += disk
            pace.answered(1, at: time)
        }
        return pace.mayStandStill
    }

    @Test("the loop may stand still for a chunk that is alone, the first one too")
    func alone() {
        var pace = LonePace()
        var time = 100.0
        for _ in 0..<3 {
            let may = Self.submit(&pace, at: &time, disk: Self.quick)
            #expect(may)
        }
    }

    @Test("not where others are away, or come together")
    func others() {
        var pace = LonePace()
        pace.handedOver(2, at: 100)
        #expect(!pace.mayStandStill)
        pace.answered(2, at: 100)
        pace.handedOver(1, at: 100)
        #expect(pace.mayStandStill)
        pace.handedOver(1, at: 100)
        #expect(!pace.mayStandStill)
        pace.answered(2, at: 100)
        #expect(!pace.mayStandStill)
    }

    @Test("not while the disk is slow, and again once it is quick", arguments: [0.05, 1.0, 30])
    func slow(_ seconds: Double) {
        var pace = LonePace()
        var time = 100.0
        _ = Self.submit(&pace, at: &time, disk: seconds)
        let may = Self.submit(&pace, at: &time, disk: Self.quick)
        #expect(!may)
        for _ in 0..<100 { _ = Self.submit(&pace, at: &time, disk: Self.quick) }
        let mayAgain = Self.submit(&pace, at: &time, disk: Self.quick)
        #expect(mayAgain)
    }

    @Test("how long many were away says nothing of the disk")
    func many() {
        var pace = LonePace()
        pace.handedOver(50, at: 100)
        pace.answered(50, at: 200)
        pace.handedOver(1, at: 200)
        #expect(pace.mayStandStill)
    }
}
