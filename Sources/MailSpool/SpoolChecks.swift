// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import Synchronization

/// The looks at a whole spool, one at a time, each on a thread of its own.
package final class SpoolChecks: Sendable {
    /// One look, under way or done.
    package struct Look: Sendable {
        /// By which it is asked for.
        package var number: Int
        package var isFull: Bool
        package var progress = SpoolCheckProgress()
        /// Once it is done.
        package var result: Result<SpoolCheckReport, SpoolError>?
    }

    private struct State {
        var last: Look?
        var thread: WorkerThread?
        var isClosing = false
    }

    private let checker: SpoolChecker?
    private let state = Mutex(State())

    init(_ checker: SpoolChecker?) { self.checker = checker }

    /// - Parameter done: on the look's thread, unless it failed.
    func begin(isFull: Bool, done: @escaping @Sendable (SpoolCheckReport, [DamagedRow]) -> Void) -> Look? {
        guard let checker else { return nil }
        return state.withLock { state in
            if let last = state.last, last.result == nil { return last }
            guard !state.isClosing else { return nil }
            state.thread?.join()
            var look = Look(number: (state.last?.number ?? 0) + 1, isFull: isFull)
            do throws(SpoolError) {
                state.thread = try WorkerThread(name: "spool-check") { [self] in run(checker, isFull, done) }
            } catch {
                look.result = .failure(error)
            }
            state.last = look
            return look
        }
    }

    private func run(
        _ checker: SpoolChecker, _ isFull: Bool, _ done: (SpoolCheckReport, [DamagedRow]) -> Void
    ) {
        let result = Result { () throws(SpoolError) in
            try checker.run(isFull: isFull) { [self] progress in
                state.withLock { state in
                    state.last?.progress = progress
                    return !state.isClosing
                }
            }
        }
        if case .success(let found) = result { done(found.report, found.fresh) }
        state.withLock { $0.last?.result = result.map(\.report) }
    }

    func look(_ number: Int) -> Look? {
        state.withLock { $0.last?.number == number ? $0.last : nil }
    }

    /// Ends what is under way. Blocks for some milliseconds.
    func close() {
        let thread = state.withLock { state in
            state.isClosing = true
            return state.thread
        }
        thread?.join()
    }
}
