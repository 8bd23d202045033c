// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailJob
import Testing

@Suite("JobID names a job by number and by text")
struct JobIDTests {
    @Test("text and number are the same id", arguments: [0, 1, 31, 32, 1 << 10, 0x0123_4567_89AB_CDEF, Int64.max])
    func roundTrip(raw: Int64) throws {
        let id = JobID(raw: raw)
        #expect(id.description.utf8.count == JobID.textLength)
        #expect(JobID(id.description) == id)
        #expect(JobID(id.description.lowercased()) == id)
    }

    @Test("the text sorts as the number does")
    func order() {
        let raws: [Int64] = [0, 1, 9, 10, 31, 32, 1023, 1024, 1 << 40, Int64.max]
        let ids = raws.map { JobID(raw: $0) }
        #expect(ids == ids.sorted())
        #expect(ids.map(\.description) == ids.map(\.description).sorted())
    }

    @Test(
        "what is no id is refused",
        arguments: [
            "", "0", "000000000000", "00000000000000", "000000000000U", "00000000000I0", "0000000 00000",
            "ZZZZZZZZZZZZZ",
            "8000000000000", "000000000000é", "-000000000001",
        ])
    func refused(text: String) {
        #expect(JobID(text) == nil)
    }

    @Test("the time of acceptance can be read from an id, to the millisecond")
    func time() {
        let accepted = WallTime(milliseconds: 1_795_430_400_123)
        let id = JobID.first(at: accepted, node: 7)
        #expect(id.time == accepted)
        #expect(id.raw & 1023 == 7)
        #expect(id.advanced(by: 4095).time == accepted)
        #expect(id.advanced(by: 4096).time.milliseconds == accepted.milliseconds + 1)
    }

    @Test("ids of one spool differ by a step, those of two spools never meet")
    func steps() {
        let first = JobID.first(at: WallTime(milliseconds: 1_795_430_400_123), node: 0)
        let other = JobID.first(at: WallTime(milliseconds: 1_795_430_400_123), node: 1)
        #expect(first.advanced(by: 1).raw == first.raw + JobID.step)
        #expect((0..<100).allSatisfy { first.advanced(by: $0) != other })
    }

    @Test("a clock before 2020 gives the lowest id, not a negative one")
    func earlyClock() {
        #expect(JobID.first(at: WallTime(milliseconds: 0), node: 3).raw == 3)
    }
}
