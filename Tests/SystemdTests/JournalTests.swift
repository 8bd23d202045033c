// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import Glibc
import Synchronization
import Systemd
import Testing

/// A sink that stands still until it is let go, as a full pipe does.
private final class Gate: JournalSink {
    let inner = CapturingSink()
    private let reached = Semaphore()
    private let opened = Semaphore()

    func write(_ records: UnsafeRawBufferPointer) {
        reached.signal()
        opened.wait()
        inner.write(records)
    }

    func waitUntilReached() { reached.wait() }
    func open(times: Int) { for _ in 0..<times { opened.signal() } }
}

/// POSIX's semaphore.
private final class Semaphore: @unchecked Sendable {
    private let pointer = UnsafeMutablePointer<sem_t>.allocate(capacity: 1)

    init() { sem_init(pointer, 0, 0) }
    deinit {
        sem_destroy(pointer)
        pointer.deallocate()
    }

    func signal() { sem_post(pointer) }
    func wait() { while sem_wait(pointer) != 0 {} }
}

@Suite("The journal") struct JournalTests {
    @Test("a line has its message, its own fields with the prefix, and the catalog's id without")
    func fields() {
        let sink = CapturingSink()
        let journal = Journal(sink, fieldPrefix: "MAILD_")
        journal.write(.notice) { line in
            line.message("moved ")
            line.add("x")
            line.identify("0123456789abcdef0123456789abcdef")
            line.field("JOB", "17")
            line.field("COUNT", -3)
            line.field("SECONDS", seconds: 1.0625)
            line.field("BIG", Int.min)
        }
        #expect(journal.flush())
        let line = sink.lines.withLock { $0.first }
        #expect(line?.priority == .notice)
        #expect(
            line?.fields == [
                "MESSAGE": "moved x", "MESSAGE_ID": "0123456789abcdef0123456789abcdef", "MAILD_JOB": "17",
                "MAILD_COUNT": "-3", "MAILD_SECONDS": "1.063", "MAILD_BIG": "-9223372036854775808",
            ])
    }

    @Test("lines below the level are not composed, and the level may change at any time")
    func level() {
        let sink = CapturingSink()
        let journal = Journal(sink, fieldPrefix: "", level: .warning)
        journal.write(.notice) { _ in Issue.record("composed below the level") }
        journal.write(.warning, "w")
        journal.level = .debug
        journal.write(.debug, "d")
        journal.level = .error
        journal.write(.warning, "not this")
        journal.flush()
        #expect(sink.messages == ["w", "d"])
        #expect(journal.level == .error)
    }

    @Test("levels have names", arguments: Priority.allCases)
    func names(priority: Priority) {
        #expect(Priority(name: priority.name) == priority)
        #expect(Priority(name: priority.name.uppercased()) == nil)
    }

    @Test("lines of many threads come whole, each thread's in its order")
    func threads() async {
        let sink = CapturingSink()
        let journal = Journal(sink, fieldPrefix: "")
        await withTaskGroup(of: Void.self) { group in
            for thread in 0..<8 {
                group.addTask {
                    for index in 0..<500 { journal.write(.info) { $0.message("\(thread) \(index)") } }
                }
            }
        }
        #expect(journal.flush(secondsMax: 20))
        let messages = sink.messages
        #expect(messages.count == 4000)
        for thread in 0..<8 {
            let own = messages.filter { $0.hasPrefix("\(thread) ") }
            #expect(own == (0..<500).map { "\(thread) \($0)" })
        }
    }

    @Test("where the sink stands still, lines past the bound are dropped and their number is said")
    func drops() {
        let gate = Gate()
        let journal = Journal(gate, fieldPrefix: "", pendingBytesMax: 300)
        journal.write(.error, "first")
        gate.waitUntilReached()
        // The first is with the sink; a record of these takes 4 + 9 + 4 + 8 + 75 = 100 bytes.
        for _ in 0..<10 { journal.write(.error, String(repeating: "x", count: 75)) }
        #expect(journal.droppedTotal == 7)
        #expect(!journal.flush(secondsMax: 0))
        gate.open(times: 10)
        #expect(journal.flush(secondsMax: 20))
        let messages = gate.inner.messages
        #expect(messages.count == 5)
        #expect(messages.last == "log lines dropped because the log could not be written as fast: 7")
        #expect(journal.droppedTotal == 7)
    }

    @Test("flush of an idle journal returns at once, and lines after it are written as before")
    func idleFlush() {
        let sink = CapturingSink()
        let journal = Journal(sink, fieldPrefix: "")
        #expect(journal.flush())
        journal.write(.info, "later")
        #expect(journal.flush())
        #expect(sink.messages == ["later"])
    }

    @Test("a journal that goes away still writes what it was given")
    func goesAway() {
        let gate = Gate()
        do {
            let journal = Journal(gate, fieldPrefix: "")
            journal.write(.info, "last words")
        }
        gate.open(times: 1)
        gate.waitUntilReached()
        while gate.inner.messages.isEmpty { sched_yield() }
        #expect(gate.inner.messages == ["last words"])
    }
}
