// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailDispatch
import Testing

@Suite("How much a node has at hand")
struct PaceTests {
    @Test("a tenth of a second of what it ends, between what its workers need and what memory allows")
    func bounds() {
        var pace = Pace()
        pace.look(at: 100)
        #expect(pace.atHandMax(least: 32, most: 1024) == 32)
        for (ended, expected) in [(1, 32), (300, 300), (90_000, 1024)] {
            pace = Pace()
            pace.look(at: 100)
            pace.ended = ended
            pace.look(at: 100.1)
            #expect(pace.atHandMax(least: 32, most: 1024) == expected)
        }
    }

    @Test("a look that comes too soon judges nothing, and a slack moment lowers it step by step")
    func decays() {
        var pace = Pace()
        pace.look(at: 100)
        pace.ended = 1000
        pace.look(at: 100.001)
        #expect(pace.rate == 0 && pace.ended == 1000)
        pace.look(at: 101)
        #expect(pace.rate > 990 && pace.rate < 1010)
        let before = pace.rate
        pace.look(at: 102)
        #expect(pace.rate < before && pace.rate > before / 2)
    }
}
