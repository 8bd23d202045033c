// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailJob
import Testing

@Suite("The window against a model of the spool")
struct WindowModelTests {
    @Test(
        "no job is lost, taken twice or taken as it once was, however commits, reads, takes and orders interleave",
        arguments: 1...40)
    func interleaved(seed: Int) {
        var model = WindowModel(seed: seed)
        for _ in 0..<2500 { model.step() }
        #expect(model.unheard > 0)
        model.settleDown()
        #expect(model.faults.isEmpty, "\(model.faults.prefix(3))")
        let wrong = model.wanted.filter { model.runs[$0.key, default: 0] != $0.value }
        #expect(wrong.isEmpty, "\(wrong.keys.sorted().prefix(3))")
        #expect(model.mostAtHand <= Limits.windowsJobsMax)
    }
}
