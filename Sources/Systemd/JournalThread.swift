// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import Glibc

/// The thread that carries lines from memory to their sink until its journal is gone.
enum JournalThread {
    private final class Errand {
        let pending: PendingLines
        let sink: any JournalSink

        init(_ pending: PendingLines, _ sink: any JournalSink) {
            self.pending = pending
            self.sink = sink
        }
    }

    static func start(_ pending: PendingLines, _ sink: some JournalSink) {
        let errand = Unmanaged.passRetained(Errand(pending, sink))
        // The thread inherits the mask: signals belong to the daemon, and a broken pipe must not end it from here.
        var all = sigset_t()
        var before = sigset_t()
        sigfillset(&all)
        pthread_sigmask(SIG_SETMASK, &all, &before)
        defer { pthread_sigmask(SIG_SETMASK, &before, nil) }
        var thread = pthread_t()
        let status = pthread_create(
            &thread, nil,
            { context in
                guard let context else { return nil }
                JournalThread.run(Unmanaged<Errand>.fromOpaque(context).takeRetainedValue())
                return nil
            }, errand.toOpaque())
        if status == 0 {
            pthread_detach(thread)
        } else {
            errand.release()
        }
    }

    private static func run(_ errand: Errand) {
        var used: [UInt8] = []
        while let (records, dropped) = errand.pending.take(used) {
            records.withUnsafeBytes { errand.sink.write($0) }
            if dropped > 0 { report(dropped, errand) }
            used = records
            used.removeAll(keepingCapacity: records.capacity <= 1 << 20)
        }
    }

    private static func report(_ dropped: Int, _ errand: Errand) {
        var now = timespec()
        clock_gettime(CLOCK_REALTIME, &now)
        var line = JournalLine(fieldPrefix: "")
        line.beginRecord(.warning, nanoseconds: Int64(now.tv_sec) * 1_000_000_000 + Int64(now.tv_nsec))
        line.message("log lines dropped because the log could not be written as fast: ")
        line.add(dropped)
        line.endRecord()
        line.bytes.withUnsafeBytes { errand.sink.write($0) }
    }
}
