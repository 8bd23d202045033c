// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import Glibc
import MailJob
import NIOPosix
import Synchronization

/// Threads on which clients' files are looked at, read and closed: a file system may take as long as it likes for
/// each of these (FUSE, NFS), so none happens on a loop.
///
/// A user has one thread at a time: whose file system hangs holds up files of nobody else.
package final class FileThreads: Sendable {
    private typealias Work = @Sendable () -> Void

    private struct Turns {
        /// Users who have a thread, with what waits for it.
        var waiting: [UInt32: [Work]] = [:]
        /// Descriptors that are open here.
        var open: [UInt32: Int] = [:]
        var openInAll = 0

        mutating func count(_ user: UInt32, _ change: Int) {
            openInAll += change
            let count = open[user, default: 0] + change
            open[user] = count == 0 ? nil : count
        }
    }

    private let pool = NIOThreadPool(numberOfThreads: Limits.fileThreadsMax)
    private let isStarted = Atomic(false)
    private let turns = Mutex(Turns())

    private let descriptorsMax: Int
    private let descriptorsPerUserMax: Int

    package init(
        descriptorsMax: Int = Limits.descriptorsMax, descriptorsPerUserMax: Int = Limits.descriptorsPerUserMax
    ) {
        self.descriptorsMax = descriptorsMax
        self.descriptorsPerUserMax = descriptorsPerUserMax
    }

    deinit { pool.shutdownGracefully { _ in } }

    // MARK: Work

    /// In the order of the calls, as far as they are of one user.
    package func run(for user: UInt32, _ work: @escaping @Sendable () -> Void) {
        let begins = turns.withLock { turns in
            if turns.waiting[user]?.append(work) != nil { return false }
            turns.waiting[user] = []
            return true
        }
        if begins { begin(user, work) }
    }

    private func begin(_ user: UInt32, _ work: @escaping Work) {
        if !isStarted.exchange(true, ordering: .relaxed) { pool.start() }
        // A pool that ends still calls, and what is to be closed must be.
        pool.submit { [self] _ in
            work()
            if let next = next(user) { begin(user, next) }
        }
    }

    private func next(_ user: UInt32) -> Work? {
        turns.withLock { turns in
            guard turns.waiting[user]?.isEmpty == false else {
                turns.waiting[user] = nil
                return nil
            }
            return turns.waiting[user]?.removeFirst()
        }
    }

    // MARK: Descriptors

    /// A descriptor that was received, owned by what is returned; nil where there are too many, and it is closed.
    func own(_ number: CInt, of user: UInt32) -> PassedDescriptor? {
        let descriptor = PassedDescriptor(number, of: user, self)
        return turns.withLock { turns in
            turns.count(user, 1)
            let isRoom = turns.openInAll <= descriptorsMax && turns.open[user, default: 0] <= descriptorsPerUserMax
            return isRoom ? descriptor : nil
        }
    }

    fileprivate func close(_ number: CInt, of user: UInt32) {
        run(for: user) { [self] in
            Glibc.close(number)
            turns.withLock { $0.count(user, -1) }
        }
    }
}

/// A descriptor that a client has passed. Whoever lets go of it last, wherever that is, closes it.
final class PassedDescriptor: Sendable {
    let number: CInt
    private let user: UInt32
    private let threads: FileThreads

    fileprivate init(_ number: CInt, of user: UInt32, _ threads: FileThreads) {
        self.number = number
        self.user = user
        self.threads = threads
    }

    deinit { threads.close(number, of: user) }
}
