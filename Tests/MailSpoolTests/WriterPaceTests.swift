// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailJob
import MailSpool
import Testing

struct WriterPaceTests {
    private static let soon = Limits.briskSeconds / 2
    private static let late = Limits.briskSeconds * 2

    @Test(
        "the writer stays awake after a chunk that came alone and soon",
        arguments: [
            (1, soon, 2, true), (1, late, 2, false), (2, soon, 2, false), (0, soon, 2, false), (1, soon, 1, false),
        ])
    func awake(_ chunks: Int, _ seconds: Double, _ processors: Int, _ isAwake: Bool) {
        var pace = WriterPace(processors: processors)
        #expect(pace.awakeSeconds == 0)
        pace.took(chunks: chunks, since: 100, at: 100 + seconds, gaveWay: 0)
        #expect(pace.awakeSeconds == (isAwake ? Limits.awakeSeconds : 0))
    }

    @Test("and sleeps again once nothing comes")
    func sleeps() {
        var pace = WriterPace(processors: 2)
        pace.took(chunks: 1, since: 100, at: 100 + Self.soon, gaveWay: 0)
        pace.took(chunks: 0, since: 101, at: 101 + Self.late, gaveWay: 0)
        #expect(pace.awakeSeconds == 0)
    }

    @Test("where others want the processor the writer sleeps for a while")
    func crowded() {
        var pace = WriterPace(processors: 2)
        for (time, gaveWay, isAwake) in [
            (100.0, 0, true), (101, 2 * Crowd.crowdedSeconds, false), (101.1, 0, false),
            (101.1 + Crowd.restSeconds, 0, true),
        ] {
            pace.took(chunks: 1, since: time, at: time + Self.soon, gaveWay: gaveWay)
            #expect((pace.awakeSeconds > 0) == isAwake, "at \(time)")
        }
    }
}
