// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailIntake
import MailJob
import MailSpool
import Testing

struct AnswerWatchTests {
    private static let soon = Limits.briskSeconds / 4

    /// One job, answered after `disk` seconds.
    private static func submit(_ watch: inout AnswerWatch, at time: inout Double, disk: Double) -> Bool {
        let begins = watch.handedOver(1, at: time)
        time += disk
        watch.answered(1, at: time)
        _ = watch.goesOn(at: time)
        time += soon
        return begins
    }

    @Test("the first of a client's jobs is not watched for, the next ones are")
    func brisk() {
        var watch = AnswerWatch(processors: 2)
        var time = 100.0
        let begins1 = Self.submit(&watch, at: &time, disk: Self.soon)
        #expect(!begins1)
        let begins2 = Self.submit(&watch, at: &time, disk: Self.soon)
        #expect(begins2)
    }

    @Test("a job that comes late is not watched for")
    func late() {
        var watch = AnswerWatch(processors: 2)
        var time = 100.0
        _ = Self.submit(&watch, at: &time, disk: Self.soon)
        time += 2 * Limits.briskSeconds
        let begins3 = Self.submit(&watch, at: &time, disk: Self.soon)
        #expect(!begins3)
    }

    @Test("a watch ends where others want the processor, and none begins for a while")
    func crowded() {
        var watch = AnswerWatch(processors: 2)
        var time = 100.0
        _ = Self.submit(&watch, at: &time, disk: Self.soon)
        let begins = watch.handedOver(1, at: time)
        #expect(begins)
        let goesOn = watch.goesOn(at: time, gaveWay: 2 * Crowd.crowdedSeconds)
        #expect(!goesOn)
        watch.answered(1, at: time)
        let begins4 = Self.submit(&watch, at: &time, disk: Self.soon)
        #expect(!begins4)
        time += Crowd.restSeconds
        _ = Self.submit(&watch, at: &time, disk: Self.soon)
        let begins5 = Self.submit(&watch, at: &time, disk: Self.soon)
        #expect(begins5)
    }

    @Test("on one processor there is no watch")
    func oneProcessor() {
        var watch = AnswerWatch(processors: 1)
        var time = 100.0
        for _ in 0..<3 {
            let begins = Self.submit(&watch, at: &time, disk: Self.soon)
            #expect(!begins)
        }
    }

    @Test("while the disk is slow there is no watch, and there is again once it is quick")
    func slowDisk() {
        var watch = AnswerWatch(processors: 2)
        var time = 100.0
        _ = Self.submit(&watch, at: &time, disk: Self.soon)
        let begins6 = Self.submit(&watch, at: &time, disk: 1)
        #expect(begins6)
        let begins7 = Self.submit(&watch, at: &time, disk: Self.soon)
        #expect(!begins7)
        for _ in 0..<100 { _ = Self.submit(&watch, at: &time, disk: Self.soon) }
        let begins8 = Self.submit(&watch, at: &time, disk: Self.soon)
        #expect(begins8)
    }

    @Test("a watch ends with the answer, with a second job, and when it has taken too long")
    func ends() {
        for end in 0..<3 {
            var watch = AnswerWatch(processors: 2)
            var time = 100.0
            _ = Self.submit(&watch, at: &time, disk: Self.soon)
            let begins = watch.handedOver(1, at: time)
            #expect(begins)
            let goesOn = watch.goesOn(at: time)
            #expect(goesOn)
            switch end {
            case 0: watch.answered(1, at: time)
            case 1:
                let beginsAgain = watch.handedOver(1, at: time)
                #expect(!beginsAgain)
            default: time += 2 * Limits.watchSeconds
            }
            let stillGoesOn = watch.goesOn(at: time)
            #expect(!stillGoesOn)
        }
    }
}
