// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailJob

// What operators want of the writer, each in a transaction of its own.
extension SpoolWriter {
    func serve(_ requests: Spool.Requests) {
        if let corruption { return refuse(requests, corruption) }
        for definition in requests.definitions {
            let numbers = Result { () throws(SpoolError) in try keeping.define(queues: definition.queues) }
            if case .success(let queues) = numbers { spool.queues = queues }
            definition.done(numbers)
        }
        for order in requests.imports {
            order.done(Result { () throws(SpoolError) in try take(order.jobs) })
        }
        for change in requests.changes {
            change.done(Result { () throws(SpoolError) in try apply(change.order) })
        }
    }

    private func refuse(_ requests: Spool.Requests, _ error: SpoolError) {
        for definition in requests.definitions { definition.done(.failure(error)) }
        for order in requests.imports { order.done(.failure(error)) }
        for change in requests.changes { change.done(.failure(error)) }
    }

    private func take(_ jobs: [ImportedJob]) throws(SpoolError) -> [ImportVerdict] {
        guard !upkeep.isLow else { throw .outOfSpace(message: "the disk is nearly full") }
        // An id of this very spool, as where its own export comes back, must not be given again.
        let own = jobs.map(\.id).filter { $0.raw % JobID.step == keeping.opened.node }.max() ?? lastID
        let outcome = try keeping.take(jobs, tally: tally, limits: spool.limits, lastID: max(own, lastID))
        (tally, lastID) = (outcome.tally, max(own, lastID))
        upkeep.wrote()
        publish()
        if !outcome.changed.isEmpty {
            observer.committed(rows: outcome.changed.count, seconds: 0)
            listener.changed(outcome.changed)
        }
        return outcome.verdicts
    }

    private func apply(_ order: ChangeOrder) throws(SpoolError) -> ChangeOutcome {
        // One of these jobs may have ended, in a way that the disk does not know yet.
        guard unsettled.isEmpty else { throw .unwritable(message: "what has ended waits to be written") }
        let outcome = try keeping.change(order, tally: tally)
        tally = outcome.tally
        upkeep.wrote()
        publish()
        if !outcome.changed.isEmpty {
            observer.committed(rows: outcome.changed.count, seconds: 0)
            listener.changed(outcome.changed)
        }
        return outcome
    }
}
