// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailDispatch
import MailJob
import MailSpool
import NIOCore
import Testing

struct KnownLanesTests {
    private final class Nobody: ReceiptSink {
        func committed(_ chunks: [Chunk]) {}
    }

    private static func chunk(_ jobs: [(priority: UInt8, queue: UInt16)], uid: UInt32 = 7, due: Bool = false) -> Chunk {
        let time = WallTime(milliseconds: 1)
        let submissions = jobs.map { job in
            Submission(
                range: 0..<0, priority: job.priority, queue: job.queue, dueAt: due ? time : nil, expiresAt: time)
        }
        return Chunk(bytes: ByteBuffer(), submissions: submissions, uid: uid, sink: Nobody())
    }

    @Test("jobs are no news where all of their lanes are known to have more")
    func held() {
        let known = KnownLanes()
        let one = Self.chunk([(5, 0), (5, 0)])
        #expect(!known.holdAll([one]))
        known.set([Lane(priority: 5, queue: 0, uid: 7)])
        #expect(known.holdAll([one, one]))
        for other in [
            Self.chunk([(5, 0), (4, 0)]), Self.chunk([(5, 1)]), Self.chunk([(5, 0)], uid: 8),
            Self.chunk([(5, 0)], due: true),
        ] {
            #expect(!known.holdAll([one, other]))
        }
        known.set([Lane(priority: 5, queue: 0, uid: 7), Lane(priority: 4, queue: 0, uid: 7)])
        #expect(known.holdAll([one, Self.chunk([(5, 0), (4, 0), (5, 0)])]))
        known.set([])
        #expect(!known.holdAll([one]))
    }
}
