// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailFeed
import MailWire
import Testing

@Suite struct FeedMachineTests {
    @Test func aMessageIsAcknowledgedAfterMaildsAnswerAndNotBefore() {
        var stage = Stage()
        stage.arrive(1...2)
        #expect(stage.lines.isEmpty)
        stage.open()
        #expect(stage.written == [1, 2])
        #expect(stage.acknowledged.isEmpty)
        stage.accept("A")
        #expect(stage.acknowledged == [1])
        stage.accept("B", duplicate: true)
        #expect(stage.acknowledged == [1, 2])
        #expect(stage.machine.counts.accepted == 2)
        #expect(stage.machine.counts.duplicates == 1)
        #expect(stage.machine.held == 0)
    }

    @Test func whatALostConnectionLeftUnansweredIsWrittenAgainInItsOrder() {
        var stage = Stage()
        stage.open()
        stage.arrive(1...3)
        stage.accept("A")
        stage.lose()
        stage.arrive(4...4)
        #expect(stage.lines.isEmpty)
        stage.open()
        #expect(stage.written == [2, 3, 4])
        for job in ["B", "C", "D"] { stage.accept(job) }
        #expect(stage.acknowledged == [1, 2, 3, 4])
    }

    @Test(arguments: [
        "parse_error", "invalid_job", "unknown_type", "conflict", "permission_denied", "line_too_long", "new",
    ])
    func aLineThatIsRefusedForGoodGoesToTheDeadLettersAndOthersGoOn(error: String) {
        var stage = Stage()
        stage.open()
        stage.arrive(1...3)
        stage.accept("A")
        stage.refuse(error, retryable: false)
        stage.accept("C")
        #expect(stage.acknowledged == [1, 3])
        #expect(stage.buried.map(\.error) == [error])
        #expect(stage.buried.map(\.body) == [Array("{\"n\":2}".utf8)])
        stage.tell { $0.buried([Receipt(group: 0, number: 2)]) }
        #expect(stage.acknowledged == [1, 3, 2])
        #expect(stage.machine.counts.rejected == [error: 1])
        #expect(stage.machine.counts.buried == 1)
    }

    @Test(arguments: ["", "[1]", "{", "{\"a\":1}x", "nothing", "{\"a\":1,\"a\":2}"])
    func aBodyThatIsNoObjectIsNeverWritten(body: String) {
        var stage = Stage()
        stage.open()
        stage.arrive([Stage.message(1, body), Stage.message(2)])
        #expect(stage.written == [2])
        #expect(stage.buried.map(\.error) == ["parse_error"])
        #expect(stage.buried.map(\.body) == [Array(body.utf8)])
    }

    @Test(arguments: ["queue_full", "read_only", "draining", "quota_exceeded", "timeout", "internal"])
    func aRefusalForTheMomentPausesTheFeedAndOneLineFindsOutWhetherItIsOver(error: String) {
        var stage = Stage()
        stage.open()
        stage.arrive(1...3)
        stage.refuse(error, retryable: true, after: 5)
        #expect(stage.resumes == [5])
        #expect(stage.machine.pause == error)
        stage.refuse(error, retryable: true, after: 5)
        stage.accept("C")
        #expect(stage.resumes == [5])
        stage.arrive(4...4)
        #expect(stage.lines.isEmpty)
        stage.tell { $0.resumed() }
        #expect(stage.written == [1])
        stage.refuse(error, retryable: true)
        #expect(stage.resumes == [5, 1])
        stage.tell { $0.resumed() }
        stage.accept("A")
        #expect(stage.written == [2, 4])
        stage.accept("B")
        stage.accept("D")
        #expect(stage.acknowledged == [3, 1, 2, 4])
        #expect(stage.buried.isEmpty)
    }

    @Test func anAnswerThatIsNoneMakesTheConnectionAnew() {
        var stage = Stage()
        stage.open()
        stage.arrive(1...1)
        stage.answer("HTTP/1.1 400 Bad Request")
        #expect(stage.reconnects == 1)
        stage.lose()
        stage.open()
        stage.accept("A")
        #expect(stage.acknowledged == [1])
    }

    @Test func neverMoreIsAllowedThanTheWindowHolds() {
        var stage = Stage(window: 16)
        #expect(stage.allowed == 16)
        stage.open()
        stage.arrive(1...16)
        #expect(stage.allowed == 16)
        stage.accept("A")
        #expect(stage.allowed == 17)
        stage.accept("B")
        #expect(stage.allowed == 17)
        stage.accept("C")
        #expect(stage.allowed == 19)
    }

    @Test func bodiesInMemoryHaveABoundOfTheirOwn() {
        var stage = Stage(window: 16, bytesMax: 2000)
        stage.open()
        let long = "{\"n\":1,\"x\":\"\(String(repeating: "x", count: 2000))\"}"
        stage.arrive([Stage.message(1, long)])
        stage.arrive(2...16)
        #expect(stage.allowed == 16)
        for number in 1...16 { stage.accept("J\(number)") }
        #expect(stage.allowed > 16)
    }

    @Test func withdrawnMessagesAreNeitherAcknowledgedNorWrittenAgain() {
        var stage = Stage()
        stage.open()
        stage.arrive(1...2, group: 7)
        stage.arrive(3...3, group: 8)
        stage.tell { $0.withdrawn(group: 7) }
        stage.accept("A")
        stage.refuse("invalid_job", retryable: false)
        stage.accept("C")
        #expect(stage.acknowledged == [3])
        #expect(stage.buried.isEmpty)
        stage.arrive(4...4, group: 7)
        stage.lose()
        stage.tell { $0.withdrawn(group: 7) }
        stage.open()
        #expect(stage.lines.isEmpty)
        #expect(stage.machine.held == 0)
    }

    @Test func aFeedThatStopsWritesNothingMoreAndWaitsForWhatIsUnderWay() {
        var stage = Stage()
        stage.open()
        stage.arrive(1...1)
        stage.tell { $0.stop() }
        stage.arrive(2...2)
        #expect(stage.written == [1])
        #expect(!stage.machine.isQuiet)
        stage.accept("A")
        #expect(stage.machine.isQuiet)
        #expect(stage.acknowledged == [1])
    }
}

@Suite struct SettledFeedTests {
    private let letter = "{\"n\":1,\"ref\":\"order-17\",\"tags\":[\"shop\"]}"

    @Test func aMessageIsAcknowledgedWhenItsJobHasEnded() {
        var stage = Stage(settled: true)
        stage.tell { $0.watchBegan() }
        stage.open()
        stage.arrive(1...2)
        stage.accept("A")
        stage.accept("B")
        #expect(stage.acknowledged.isEmpty)
        #expect(stage.machine.unsettled == 2)
        stage.tell { $0.jobEnded("B", JobEnd(state: "delivered")) }
        stage.tell { $0.jobEnded("Z", JobEnd(state: "delivered")) }
        stage.tell { $0.jobEnded("A", JobEnd(state: "failed")) }
        #expect(stage.acknowledged == [2, 1])
        #expect(stage.machine.counts.ended == ["delivered": 1, "failed": 1])
    }

    @Test func anEndThatIsToldBeforeTheAnswerIsNotLost() {
        var stage = Stage(settled: true)
        stage.tell { $0.watchBegan() }
        stage.open()
        stage.arrive(1...1)
        stage.tell { $0.jobEnded("A", JobEnd(state: "delivered")) }
        stage.accept("A")
        #expect(stage.acknowledged == [1])
    }

    @Test func aRepeatOfAJobThatHasEndedIsDoneAtOnce() {
        var stage = Stage(settled: true)
        stage.open()
        stage.arrive(1...1)
        stage.accept("A", state: "delivered", duplicate: true)
        #expect(stage.acknowledged == [1])
    }

    @Test func whatMayHaveEndedUnseenIsAskedFor() {
        var stage = Stage(settled: true)
        stage.open()
        stage.arrive(1...3)
        stage.accept("A")
        stage.tell { $0.watchBegan() }
        #expect(stage.asked == ["A"])
        // Its line was written before the watch began.
        stage.accept("B")
        #expect(stage.asked == ["A", "B"])
        stage.accept("C")
        stage.arrive(4...4)
        stage.accept("D")
        #expect(stage.asked == ["A", "B", "C"])
        stage.tell { $0.told("A", nil, isKnown: true) }
        #expect(stage.acknowledged.isEmpty)
        stage.tell { $0.told("A", JobEnd(state: "expired"), isKnown: true) }
        stage.tell { $0.told("B", nil, isKnown: false) }
        #expect(stage.acknowledged == [1, 2])
        stage.forgetAsked()
        stage.tell { $0.watchLost() }
        stage.tell { $0.watchBegan() }
        #expect(stage.asked == ["C", "D"])
    }

    /// maild tells an end up to a commit before `Show`, or the answer to a repeated line, knows of it.
    @Test func aRepeatWhoseEndWasToldBeforeItsLineIsAskedForUntilItIsKnown() {
        var stage = Stage(settled: true)
        stage.tell { $0.watchBegan() }
        stage.open()
        stage.tell { $0.jobEnded("A", JobEnd(state: "delivered")) }
        stage.arrive(1...1)
        stage.accept("A", state: "running", duplicate: true)
        #expect(stage.asked == ["A"])
        stage.forgetAsked()
        // After one second, then two, then four.
        for seconds in [1, 2, 4] {
            stage.tell { $0.told("A", nil, isKnown: true) }
            for _ in 1..<seconds { stage.tell { $0.tick() } }
            #expect(stage.asked.isEmpty)
            stage.tell { $0.tick() }
            #expect(stage.asked == ["A"])
            stage.forgetAsked()
        }
        stage.tell { $0.told("A", JobEnd(state: "delivered"), isKnown: true) }
        #expect(stage.acknowledged == [1])
        for _ in 0..<600 { stage.tell { $0.tick() } }
        #expect(stage.asked.isEmpty)
    }

    @Test func anOutcomeIsPublishedBeforeItsMessageIsAcknowledged() throws {
        var stage = Stage(settled: true, outcomes: true)
        stage.tell { $0.watchBegan() }
        stage.open()
        stage.arrive([Stage.message(1, letter)])
        stage.accept("A")
        stage.tell { $0.jobEnded("A", JobEnd(state: "delivered")) }
        #expect(stage.acknowledged.isEmpty)
        let outcome = try #require(stage.published.first)
        let text = String(decoding: outcome.json(feed: "shop", at: "2026-11-23T14:00:00Z"), as: UTF8.self)
        #expect(
            text == """
                {"event":"delivered","job":"A","at":"2026-11-23T14:00:00Z","feed":"shop","source":"q/1",\
                "ref":"order-17","tags":["shop"]}
                """)
        stage.tell { $0.published([outcome.receipt]) }
        #expect(stage.acknowledged == [1])
        #expect(stage.machine.counts.published == 1)
    }

    @Test func twoMessagesOfOneJobAreBothDone() {
        var stage = Stage(settled: true)
        stage.tell { $0.watchBegan() }
        stage.open()
        stage.arrive(1...2)
        stage.accept("A")
        stage.accept("A", duplicate: true)
        stage.tell { $0.jobEnded("A", JobEnd(state: "delivered")) }
        #expect(stage.acknowledged == [1, 2])
    }

    @Test func aWithdrawnMessageIsNoLongerWaitedFor() {
        var stage = Stage(settled: true)
        stage.tell { $0.watchBegan() }
        stage.open()
        stage.arrive(1...1, group: 3)
        stage.accept("A")
        stage.tell { $0.withdrawn(group: 3) }
        #expect(stage.machine.unsettled == 0)
        stage.tell { $0.jobEnded("A", JobEnd(state: "delivered")) }
        #expect(stage.acknowledged.isEmpty)
    }
}
