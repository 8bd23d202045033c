// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import NIOCore

/// Lets the connections of one owner write at the end of the loop's tick, one behind the other.
///
/// Whoever wrote at once, after each reply, would wake its server for a single mail, and a server on this machine would
/// take the processor from us each time. In a row, the first write wakes it, and it finds the others when it comes to
/// them. A tick in which one connection alone has something to say ends with its write.
///
/// Lives on the loop.
final class FlushRound {
    private let loop: any EventLoop
    private var waiting: [SMTPConnection] = []
    private var isDue = false

    init(_ loop: any EventLoop) { self.loop = loop }

    /// The connection's `flush` is called before the loop looks for more input; the caller adds it once a round.
    func add(_ connection: SMTPConnection) {
        waiting.append(connection)
        guard !isDue else { return }
        isDue = true
        loop.assumeIsolated().execute { self.flush() }
    }

    private func flush() {
        isDue = false
        // Whoever has something to say from here on has its turn in the next round.
        var connections: [SMTPConnection] = []
        swap(&connections, &waiting)
        for connection in connections { connection.flush() }
        connections.removeAll(keepingCapacity: true)
        if waiting.isEmpty { waiting = connections }
    }
}
