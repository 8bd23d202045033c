// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import Glibc
import Synchronization

/// What the feed's loop wants of a source's own thread: errands in their order, and a descriptor that wakes a thread
/// which waits in poll(2) for its broker too.
package final class ErrandBox<Errand: Sendable>: Sendable {
    private let errands = Mutex<[Errand]>([])
    /// Readable while there is something to take.
    package let descriptor: CInt
    /// The other end of a pipe.
    private let bell: CInt

    package init() {
        var ends: [CInt] = [-1, -1]
        let status = pipe(&ends)
        precondition(status == 0, "a process that may not open a pipe at its start can do nothing at all")
        for end in ends {
            _ = fcntl(end, F_SETFD, FD_CLOEXEC)
            _ = fcntl(end, F_SETFL, O_NONBLOCK)
        }
        (descriptor, bell) = (ends[0], ends[1])
    }

    deinit {
        close(descriptor)
        close(bell)
    }

    package func put(_ errand: Errand) {
        let isFirst = errands.withLock { errands in
            errands.append(errand)
            return errands.count == 1
        }
        guard isFirst else { return }
        var ring: UInt8 = 1
        _ = write(bell, &ring, 1)
    }

    package func take() -> [Errand] {
        var rings: UInt64 = 0
        _ = read(descriptor, &rings, 8)
        return errands.withLock { errands in
            var taken: [Errand] = []
            swap(&taken, &errands)
            return taken
        }
    }

    /// Waits for an errand, for `other` to be readable, or for so many milliseconds.
    package func wait(orFor other: CInt?, milliseconds: CInt) {
        var waits = [pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)]
        if let other { waits.append(pollfd(fd: other, events: Int16(POLLIN), revents: 0)) }
        _ = poll(&waits, nfds_t(waits.count), milliseconds)
    }
}
