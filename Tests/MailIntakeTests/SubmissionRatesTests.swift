// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailIntake
import Testing

@Suite("Jobs a minute")
struct SubmissionRatesTests {
    /// How many of `tries` are taken at one moment.
    private func taken(_ rates: inout SubmissionRates, _ user: UInt32, _ rate: Int, _ tries: Int, at now: Double) -> Int
    {
        (0..<tries).count { _ in
            guard rates.wait(of: user, perMinute: rate, now: now) == nil else { return false }
            rates.take(of: user)
            return true
        }
    }

    @Test("a minute's worth may come at once, and then as many as time gives")
    func burst() {
        var rates = SubmissionRates()
        #expect(taken(&rates, 1, 60, 100, at: 1000) == 60)
        #expect(rates.wait(of: 1, perMinute: 60, now: 1000) == 1)
        #expect(taken(&rates, 1, 60, 100, at: 1010) == 10)
        #expect(taken(&rates, 1, 60, 100, at: 5000) == 60, "nobody saves up more than a minute's")
    }

    @Test("users are counted apart")
    func apart() {
        var rates = SubmissionRates()
        #expect(taken(&rates, 1, 5, 9, at: 0) == 5)
        #expect(taken(&rates, 2, 5, 9, at: 0) == 5)
    }

    @Test("over a long time the rate is kept, however often somebody asks", arguments: [1, 7, 60, 6000])
    func rate(_ perMinute: Int) {
        var rates = SubmissionRates()
        var count = 0
        for step in 0..<6000 { count += taken(&rates, 1, perMinute, 100, at: Double(step) / 10) }
        // A minute's worth at once, and that of ten minutes less a tenth of a second.
        #expect(abs(count - perMinute * 11) <= max(1, perMinute / 600 + 1))
    }

    @Test("the wait is told, and after it there is a job to be had")
    func wait() throws {
        var rates = SubmissionRates()
        _ = taken(&rates, 1, 7, 7, at: 0)
        let told = rates.wait(of: 1, perMinute: 7, now: 0)
        let wait = try #require(told)
        #expect(rates.wait(of: 1, perMinute: 7, now: wait - 0.001) != nil)
        #expect(rates.wait(of: 1, perMinute: 7, now: wait) == nil)
    }

    @Test("a rate that a reload has lowered holds at once, and a clock that stands still is no trouble")
    func changes() {
        var rates = SubmissionRates()
        #expect(rates.wait(of: 1, perMinute: 100, now: 5) == nil)
        #expect(taken(&rates, 1, 3, 10, at: 5) == 3)
        #expect(rates.wait(of: 1, perMinute: 3, now: 4) == 20)
    }
}
