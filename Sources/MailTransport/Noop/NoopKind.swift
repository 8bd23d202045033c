// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailJob
import MailWire
import NIOCore

/// `[noop]`: there is nothing to set.
package struct NoopSettings: KindSettings {
    package init() {}
}

/// A job that does nothing, for tests and benchmarks: ends as it says, after the time it says.
package final class NoopKind: ConfiguredKind {
    package let type = NoopSchema.type
    private let loop: any EventLoop
    private var held: [JobID: (timer: Scheduled<Void>, done: (WorkResult) -> Void)] = [:]

    package static func schema(_ settings: NoopSettings) -> any JobSchema { NoopSchema() }
    package static func plan(_ settings: NoopSettings) -> NoopSettings { settings }

    package init(_ plan: NoopSettings, loop: any EventLoop, observer: any KindObserver) { self.loop = loop }

    package func apply(_ plan: NoopSettings) {}

    package func run(_ work: Work, done: @escaping (WorkResult) -> Void) {
        let fields = NoopFields(work.body)
        guard fields.seconds > 0 else { return done(WorkResult(fields.verdict, ref: fields.ref)) }
        let timer = loop.assumeIsolated().scheduleTask(in: .nanoseconds(Int64(fields.seconds * 1e9))) {
            self.held[work.job] = nil
            done(WorkResult(fields.verdict, ref: fields.ref))
        }
        held[work.job] = (timer, done)
    }

    /// Jobs whose time has not come are told to come again.
    package func close(done: @escaping () -> Void) {
        let unfinished = held.values
        held = [:]
        for job in unfinished {
            job.timer.cancel()
            var result = WorkResult(fates: [.open], tried: [], relay: type)
            result.putOff = PutOff(
                relay: type, cause: Reply(0, "", "maild is stopping"), seconds: 0, recipients: [0])
            job.done(result)
        }
        done()
    }

    package var reports: [TransportReport] { [] }
}

extension WorkResult {
    fileprivate init(_ verdict: Verdict, ref: String?) {
        self.init(
            fates: [Fate(verdict)], tried: [Trial(recipient: "nobody", verdict: verdict)], relay: NoopSchema.type, ref: ref)
    }
}
