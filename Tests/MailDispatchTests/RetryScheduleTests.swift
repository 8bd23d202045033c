// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailDispatch
import Testing

@Suite("When a job is tried again")
struct RetryScheduleTests {
    @Test(
        "RFC 5321 §4.5.4.1: the wait doubles with each attempt up to the longest",
        arguments: [(1, 30.0), (2, 60), (3, 120), (4, 240), (7, 1920), (8, 3600), (9, 3600), (1000, 3600)])
    func doubles(attempts: Int, seconds: Double) {
        #expect(abs(RetrySchedule().wait(afterAttempts: attempts, chance: 0.5) - seconds) < 0.001)
    }

    @Test("the longest wait holds for the first one too")
    func firstIsCapped() {
        let schedule = RetrySchedule(firstSeconds: 600, waitSecondsMax: 60)
        #expect(abs(schedule.wait(afterAttempts: 1, chance: 0.5) - 60) < 0.001)
    }

    @Test("chance moves a wait by a fifth at most, either way", arguments: [1, 2, 5, 100])
    func jitters(attempts: Int) {
        let schedule = RetrySchedule()
        let middle = schedule.wait(afterAttempts: attempts, chance: 0.5)
        #expect(abs(schedule.wait(afterAttempts: attempts, chance: 0) - middle * 0.8) < 0.001)
        #expect(abs(schedule.wait(afterAttempts: attempts, chance: 0.999_999_9) - middle * 1.2) < 0.001)
    }

    @Test("a job's first failure is tried again within a minute, whatever the chance")
    func firstWithinAMinute() {
        for step in 0..<100 {
            let wait = RetrySchedule().wait(afterAttempts: 1, chance: Double(step) / 100)
            #expect(wait > 0 && wait < 60)
        }
    }
}
