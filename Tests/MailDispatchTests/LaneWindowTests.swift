// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailDispatch
import MailJob
import Testing

@Suite("What is at hand of one lane")
struct LaneWindowTests {
    /// Due jobs 1 and 2, fresh ones 3 to 5, of ten bytes each.
    private func lane() -> LaneWindow {
        var lane = LaneWindow(.usual)
        for id in 1...Int64(5) {
            if id <= 2 { lane.due.append(.sample(id, dueAt: .start)) } else { lane.fresh.append(.sample(id)) }
            lane.bytes += 10
        }
        return lane
    }

    private func rest(_ lane: inout LaneWindow) -> [Int64] {
        var ids: [Int64] = []
        while let job = lane.take() { ids.append(job.id.raw) }
        return ids
    }

    @Test("due jobs are taken before fresh ones, and the bytes go with them")
    func order() {
        var lane = lane()
        #expect(lane.count == 5 && lane.head?.id.raw == 1)
        #expect(rest(&lane) == [1, 2, 3, 4, 5])
        #expect(lane.bytes == 0 && lane.count == 0 && lane.head == nil)
    }

    static let removals: [([Int64], [Int64])] = [
        ([], [1, 2, 3, 4, 5]), ([1], [2, 3, 4, 5]), ([5, 2], [1, 3, 4]), ([1, 2, 3, 4, 5], []), ([9], [1, 2, 3, 4, 5]),
    ]

    @Test("jobs are taken out wherever they stand, and the rest stays in order", arguments: removals)
    func remove(_ ids: [Int64], _ left: [Int64]) {
        var lane = lane()
        let removed = lane.remove(Set(ids.map { JobID(raw: $0) }))
        #expect(Set(removed.map(\.id.raw)) == Set(1...5).subtracting(left))
        #expect(lane.bytes == 10 * left.count)
        #expect(rest(&lane) == left)
    }

    @Test("it runs low by jobs as well as by bytes, and always when it has none")
    func low() {
        var lane = LaneWindow(.usual)
        #expect(lane.runsLow && lane.dueRunsLow)
        for id in 1..<Int64(Limits.windowJobsMax / 4) { lane.fresh.append(.sample(id)) }
        #expect(lane.runsLow)
        lane.bytes = Limits.windowBytesMax / 4
        #expect(!lane.runsLow)
        lane.bytes = 0
        lane.fresh.append(.sample(Int64(Limits.windowJobsMax)))
        #expect(!lane.runsLow && lane.dueRunsLow)
    }
}
