// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailJob
import MailSpool
import NIOCore
import Testing

@Suite("What waits for a commit")
struct BacklogTests {
    private final class Nobody: ReceiptSink {
        func committed(_ chunks: [Chunk]) {}
    }

    private func chunk(_ rows: Int, uid: UInt32 = 1, bytes: Int = 2) -> Chunk {
        let job = Submission(range: 0..<2, expiresAt: TestClock.start)
        return Chunk(
            bytes: ByteBuffer(repeating: 0x20, count: bytes), submissions: Array(repeating: job, count: rows), uid: uid,
            sink: Nobody())
    }

    /// All commits, each as the places of its chunks in `chunks`.
    private func cuts(_ chunks: [Chunk]) -> [[Int]] {
        var backlog = Backlog()
        backlog.add(chunks)
        var cuts: [[Int]] = []
        while !backlog.isEmpty {
            cuts.append(backlog.cut().map { cut in chunks.firstIndex { $0 === cut } ?? -1 })
            #expect(cuts.last?.isEmpty == false)
        }
        return cuts
    }

    @Test("what one commit takes goes in the order in which it came, whoever's it is")
    func fits() {
        let chunks = (0..<8).map { chunk($0 * 100, uid: UInt32($0 % 3)) }
        #expect(cuts(chunks) == [Array(0..<8)])
        var backlog = Backlog()
        let none = backlog.cut()
        #expect(none.isEmpty && backlog.isEmpty)
        backlog.add([chunk(0)])
        let one = backlog.cut()
        #expect(one.count == 1 && backlog.isEmpty)
    }

    @Test("one user's many are cut into commits, in their order")
    func alone() {
        let cuts = cuts((0..<30).map { _ in chunk(1000) })
        #expect(cuts.flatMap { $0 } == Array(0..<30))
        #expect(cuts.allSatisfy { $0.count <= 5 } && cuts.count <= 8)
    }

    @Test("a commit has as many bytes as are good for it, and one chunk at least")
    func bytes() {
        let large = (0..<3).map { _ in chunk(1, bytes: Limits.commitBytesMax + 1) }
        #expect(cuts(large) == [[0], [1], [2]])
    }

    @Test("somebody's one is in the next commit, however many another has waiting")
    func turns() {
        let many = (0..<100).map { _ in chunk(1024, uid: 1) }
        let cuts = cuts(many + [chunk(1, uid: 2), chunk(3, uid: 3)])
        #expect(cuts[0].contains(100) && cuts[0].contains(101))
        #expect(cuts.flatMap { $0 }.filter { $0 < 100 } == Array(0..<100))
    }

    @Test("what comes later takes its turn among those who wait")
    func later() {
        var backlog = Backlog()
        backlog.add((0..<100).map { _ in chunk(1024, uid: 1) })
        _ = backlog.cut()
        let one = chunk(1, uid: 2)
        backlog.add([one])
        let next = backlog.cut()
        #expect(next.contains { $0 === one })
    }

    @Test("whatever comes, each chunk is cut once and a user's keep their order", arguments: 1...20)
    func seeded(seed: Int) {
        var random = SplitMix(seed)
        var backlog = Backlog()
        var added: [UInt32: [Chunk]] = [:]
        var cut: [UInt32: [Chunk]] = [:]
        for _ in 0..<200 {
            for _ in 0..<Int.random(in: 0..<6, using: &random) {
                let uid = UInt32.random(in: 0..<5, using: &random)
                let new = chunk(Int.random(in: 0..<1500, using: &random), uid: uid)
                added[uid, default: []].append(new)
                backlog.add([new])
            }
            for chunk in backlog.cut() { cut[chunk.uid, default: []].append(chunk) }
        }
        while !backlog.isEmpty { for chunk in backlog.cut() { cut[chunk.uid, default: []].append(chunk) } }
        for uid: UInt32 in 0..<5 {
            let isSame = (added[uid] ?? []).elementsEqual(cut[uid] ?? []) { $0 === $1 }
            #expect(isSame)
        }
    }

    @Test("a chunk is let go of when it is cut")
    func letsGo() {
        var backlog = Backlog()
        weak var first: Chunk?
        do {
            let chunks = (0..<10).map { _ in chunk(1024) }
            first = chunks.first
            backlog.add(chunks)
        }
        #expect(first != nil)
        _ = backlog.cut()
        #expect(first == nil && !backlog.isEmpty)
    }
}

/// The same numbers at each run.
private struct SplitMix: RandomNumberGenerator {
    private var state: UInt64

    init(_ seed: Int) { state = UInt64(seed) }

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var word = state
        word = (word ^ (word >> 30)) &* 0xBF58_476D_1CE4_E5B9
        word = (word ^ (word >> 27)) &* 0x94D0_49BB_1331_11EB
        return word ^ (word >> 31)
    }
}
