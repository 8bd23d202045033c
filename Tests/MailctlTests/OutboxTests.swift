// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import Testing
import mailctl

@Suite struct OutboxTests {
    private func filled(_ lines: Int, keys: Bool = true) -> Outbox {
        var cutter = LineCutter(keys: keys ? JobKeys(run: "r") : nil)
        for number in 1...lines { cutter.feed("{\"idempotency_key\":\"\(number)\"}\n".utf8) }
        cutter.end()
        var outbox = Outbox()
        while outbox.hasRoom, outbox.take(from: &cutter) {}
        return outbox
    }

    private func unsent(_ outbox: Outbox) -> String { outbox.withUnsent { String(decoding: $0, as: UTF8.self) } }

    @Test("after a loss it begins with the oldest line that was not answered")
    func rewind() {
        var outbox = filled(5)
        let all = unsent(outbox)
        let length = all.utf8.count / 5
        outbox.send(3 * length + 4)
        outbox.drop()
        outbox.drop()
        #expect(outbox.oldest?.number == 3)
        #expect(unsent(outbox).utf8.count == 2 * length - 4)
        outbox.rewind()
        #expect(unsent(outbox) == String(all.dropFirst(2 * length)))
        #expect(outbox.sent == 3 * length + 4)
    }

    @Test("it is empty once all was sent and answered, and not before")
    func empty() {
        var outbox = filled(3)
        outbox.send(outbox.unsentCount)
        for _ in 0..<3 {
            #expect(!outbox.isEmpty)
            outbox.drop()
        }
        #expect(outbox.isEmpty)
        outbox.rewind()
        #expect(outbox.isEmpty)
    }

    @Test("of thousands of lines each is sent in order, whatever is lost on the way")
    func many() {
        var cutter = LineCutter(keys: JobKeys(run: "r"))
        for number in 1...20_000 { cutter.feed("{\"idempotency_key\":\"\(number)\"}\n".utf8) }
        cutter.end()
        var outbox = Outbox()
        var random = SystemRandomNumberGenerator()
        var answered = 0
        // What the server read of this connection and did not answer.
        var read = ""
        while true {
            while outbox.hasRoom, outbox.take(from: &cutter) {}
            if outbox.isEmpty { break }
            let count = min(outbox.unsentCount, Int.random(in: 0...3000, using: &random))
            read += outbox.withUnsent { String(decoding: $0[..<count], as: UTF8.self) }
            outbox.send(count)
            while let end = read.firstIndex(of: "\n"), Bool.random(using: &random) {
                answered += 1
                #expect(read[..<end] == "{\"idempotency_key\":\"\(answered)\"}")
                read = String(read[read.index(after: end)...])
                outbox.drop()
            }
            if Int.random(in: 0..<50, using: &random) == 0 {
                outbox.rewind()
                read = ""
            }
        }
        #expect(answered == 20_000)
    }

    @Test("what has no key may be sent again only where it was never sent")
    func withoutKeys() {
        var outbox = filled(2, keys: false)
        #expect(outbox.mayRepeat)
        outbox.send(1)
        #expect(!outbox.mayRepeat)
        #expect(filled(2).mayRepeat)
    }

    @Test("a line too long to be held goes out in pieces, is forgotten as it goes, and is not sent again")
    func long() {
        var cutter = LineCutter(keys: JobKeys(run: "r"))
        var outbox = Outbox()
        cutter.feed([UInt8](repeating: 0x78, count: LineCutter.heldBytesMax))
        let isTaken = outbox.take(from: &cutter)
        #expect(isTaken)
        outbox.send(outbox.unsentCount)
        #expect(outbox.hasRoom)
        #expect(!outbox.mayRepeat)
        cutter.feed("x\n{}\n".utf8)
        while outbox.hasRoom, outbox.take(from: &cutter) {}
        #expect(outbox.waiting.map(\.number) == [1, 2])
        outbox.send(outbox.unsentCount)
        outbox.drop()
        #expect(outbox.mayRepeat)
        outbox.rewind()
        #expect(unsent(outbox) == "{\"idempotency_key\":\"r-2\"}\n")
    }
}
