// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailJob
import NIOCore
import NIOPosix

/// Delivery into a Maildir, one file a recipient. All file work is done by a few threads of its own, never on the loop.
package final class MaildirTransport: MailTransport {
    /// fsync waits for the disk; a few at a time keep it busy, more only queue there.
    static let threadsMax = 4

    package let name: String
    private let folder: MaildirFolder
    private let loop: any EventLoop
    private let threads: NIOThreadPool
    private var unansweredCount = 0
    private var isClosed = false
    private var closers: [() -> Void] = []
    private var delivered = 0
    private var deferred = 0
    private var rejected = 0

    /// Call `prepare` next; without it the directories are made at the first delivery.
    package init(name: String, folder: MaildirFolder, loop: any EventLoop) {
        self.name = name
        self.folder = folder
        self.loop = loop
        threads = NIOThreadPool(numberOfThreads: Self.threadsMax)
        threads.start()
    }

    /// Makes the directories. Blocks: for the start, before anything is served.
    package func prepare() throws(MaildirError) { try folder.prepare() }

    package func send(_ mail: Mail, done: @escaping (Outcome) -> Void) {
        unansweredCount += 1
        let folder = self.folder
        threads.runIfActive(eventLoop: loop) { folder.deliver(mail) }.assumeIsolated().whenComplete { result in
            let closing = Verdict.deferred(Reply(451, "4.3.2", "\(folder.path) takes no more mail: maild is stopping"))
            let verdicts = (try? result.get()) ?? mail.recipients.map { _ in closing }
            self.answer(verdicts, done)
        }
    }

    package func close(done: @escaping () -> Void) {
        closers.append(done)
        closeIfDone()
    }

    package var report: TransportReport {
        var report = TransportReport(name: name, transport: "maildir", address: folder.path)
        report.delivered = delivered
        report.deferred = deferred
        report.rejected = rejected
        return report
    }

    package var reports: [TransportReport] { [report] }

    private func answer(_ verdicts: [Verdict], _ done: (Outcome) -> Void) {
        unansweredCount -= 1
        assert(unansweredCount >= 0, "a mail was answered twice")
        for verdict in verdicts {
            switch verdict {
            case .delivered: delivered += 1
            case .deferred, .unknown: deferred += 1
            case .rejected: rejected += 1
            }
        }
        done(Outcome(verdicts: verdicts, relay: name))
        closeIfDone()
    }

    private func closeIfDone() {
        guard !closers.isEmpty, unansweredCount == 0, !isClosed else { return }
        isClosed = true
        let promise = loop.makePromise(of: Void.self)
        threads.shutdownGracefully { _ in promise.succeed() }
        promise.futureResult.assumeIsolated().whenComplete { _ in
            for closer in self.closers { closer() }
            self.closers = []
        }
    }
}
