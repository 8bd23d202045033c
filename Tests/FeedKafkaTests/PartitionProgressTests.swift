// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import FeedKafka
import Testing

@Suite struct PartitionProgressTests {
    /// Offsets handed over, those done in their order, and what may be committed after each.
    private static let table: [(began: [Int64], done: [Int64], safe: [Int64?])] = [
        ([0, 1, 2], [0, 1, 2], [1, 2, 3]),
        ([0, 1, 2], [2, 1, 0], [nil, nil, 3]),
        ([5, 6, 7, 8], [6, 5, 8, 7], [nil, 7, 7, 9]),
        // A compacted topic has gaps.
        ([10, 14, 99], [14, 10, 99], [nil, 15, 100]),
        // Said twice, or never handed over.
        ([3, 4], [4, 4, 7, 2, 3], [nil, nil, nil, nil, 5]),
    ]

    @Test(arguments: table.indices)
    func onlyWhatHasNothingUndoneBeforeItIsSafe(index: Int) {
        let row = Self.table[index]
        var progress = PartitionProgress()
        for offset in row.began {
            let isNew = progress.began(offset)
            #expect(isNew)
        }
        for (offset, safe) in zip(row.done, row.safe) {
            progress.done(offset)
            #expect(progress.safe == safe)
        }
    }

    @Test func aLogThatBeginsAnewIsSeen() {
        var progress = PartitionProgress()
        let answers = [7, 7, 0].map { progress.began($0) }
        #expect(answers == [true, false, false])
        #expect(progress.position == 8)
    }

    @Test func whatWasAskedIsNotAskedAgainUnlessItFailed() {
        var progress = PartitionProgress()
        #expect(progress.uncommitted == nil)
        for offset in 0..<3 as Range<Int64> {
            let isNew = progress.began(offset)
            #expect(isNew)
        }
        progress.done(0)
        #expect(progress.uncommitted == 1)
        progress.commits(1)
        #expect(progress.uncommitted == nil)
        progress.commitFailed()
        #expect(progress.uncommitted == 1)
        progress.commits(1)
        progress.commitSucceeded(1)
        progress.done(1)
        #expect(progress.uncommitted == 2)
        progress.commits(2)
        progress.commitFailed()
        #expect((progress.uncommitted, progress.committed, progress.count) == (2, 1, 1))
    }
}

@Suite struct KafkaBooksTests {
    @Test func anAnswerAfterTheRevocationMovesNothing() throws {
        var books = KafkaBooks()
        books.assign([0, 1])
        let firstHandover = books.began(0, 40)
        let first = try #require(firstHandover)
        #expect(!first.isRedelivered)
        let revoked = books.revokeAll()
        #expect(revoked.count == 2)
        books.assign([0])
        books.done(group: first.group, 40)
        let commits1 = books.takeCommits()
        #expect(commits1.isEmpty)
        let againHandover = books.began(0, 40)
        let again = try #require(againHandover)
        #expect(again.isRedelivered)
        #expect(again.group != first.group)
        books.done(group: again.group, 40)
        let commits2 = books.takeCommits()
        #expect(commits2 == [0: 41])
        let commits3 = books.takeCommits()
        #expect(commits3.isEmpty)
        books.committed(0, 41, succeeded: false)
        let commits4 = books.takeCommits()
        #expect(commits4 == [0: 41])
    }

    @Test func oneBadMessageOfAPartitionHoldsUpNoOtherPartition() throws {
        var books = KafkaBooks()
        books.assign([0, 1])
        let slowHandover = books.began(0, 5)
        let slow = try #require(slowHandover)
        let nextHandover = books.began(0, 6)
        let next = try #require(nextHandover)
        let otherHandover = books.began(1, 9)
        let other = try #require(otherHandover)
        books.done(group: next.group, 6)
        books.done(group: other.group, 9)
        let commits5 = books.takeCommits()
        #expect(commits5 == [1: 10])
        books.done(group: slow.group, 5)
        let commits6 = books.takeCommits()
        #expect(commits6 == [0: 7])
    }

    @Test func aTopicThatWasMadeAnewEndsTheAssignment() throws {
        var books = KafkaBooks()
        books.assign([3])
        let oldHandover = books.began(3, 50)
        let old = try #require(oldHandover)
        let newHandover = books.began(3, 0)
        let new = try #require(newHandover)
        #expect(new.ended == old.group)
        #expect(!new.isRedelivered)
        books.done(group: old.group, 50)
        let commits7 = books.takeCommits()
        #expect(commits7.isEmpty)
        let stranger = books.began(4, 0)
        #expect(stranger == nil)
    }
}

@Suite struct KafkaStatisticsTests {
    private func statistics(_ text: String) -> KafkaStatistics? {
        Array(text.utf8).withUnsafeBytes { KafkaStatistics($0, topic: "jobs", partitions: [0, 1, 2]) }
    }

    @Test func lagIsWhatWasNotHandedOver() {
        let text = """
            {"cgrp":{"state":"up"},"topics":{"jobs":{"partitions":{
            "0":{"ls_offset":100,"app_offset":90,"committed_offset":50,"lo_offset":0},
            "1":{"ls_offset":30,"app_offset":-1001,"committed_offset":25,"lo_offset":0},
            "2":{"ls_offset":-1001,"app_offset":-1001,"committed_offset":-1001,"lo_offset":-1001},
            "7":{"ls_offset":1000,"app_offset":0,"committed_offset":0,"lo_offset":0}}}}}
            """
        #expect(statistics(text) == KafkaStatistics(isUp: true, lag: 15))
        #expect(statistics("{\"cgrp\":{\"state\":\"wait-coord\"}}") == KafkaStatistics(isUp: false, lag: nil))
        #expect(statistics("{}") == nil)
    }
}
