// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import Glibc
import Synchronization

/// This node among the others, as its threads share it: which session it has, and until when that is certain.
///
/// Whoever was stopped for longer than a lease must not begin what it had at hand: others may have it by now. That is
/// judged by this machine's own clock, counted from before the renewal was asked for, and so never too late.
package final class FleetMember: Sendable {
    /// 0–1023: the low bits of its ids.
    package let number: Int64
    package let name: String
    private let state: Mutex<State>

    private struct State {
        var session: Int64
        var validUntil: Double
        var nodes = 1
        var storedBytes = 0
        var absence: String?
        var wake: (@Sendable () -> Void)?
    }

    /// A node that does not renew its session for so long is taken for dead.
    package static let leaseSeconds = 15.0
    static let renewSeconds = 3.0
    /// Jobs are begun only while so much of the lease is left.
    private static let marginSeconds = 3.0

    init(number: Int64, name: String, session: Int64, askedAt: Double) {
        self.number = number
        self.name = name
        state = Mutex(State(session: session, validUntil: askedAt + Self.leaseSeconds))
    }

    /// The time by which leases are judged here: it goes on while the process, or the machine, is stopped.
    static func now() -> Double {
        var time = timespec()
        clock_gettime(CLOCK_BOOTTIME, &time)
        return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
    }

    /// A number that no other start, and no other node, ever had. Another one than before: what was at hand is lost.
    package var session: Int64 { state.withLock { $0.session } }
    /// What is at hand is certainly this node's.
    package var mayBegin: Bool { state.withLock { Self.now() < $0.validUntil - Self.marginSeconds } }
    /// Nodes that live, this one among them.
    package var nodes: Int { state.withLock { $0.nodes } }
    /// Why the database is away; nil while it is there.
    package var absence: String? { state.withLock { $0.absence } }
    var storedBytes: Int { state.withLock { $0.storedBytes } }

    /// `body` whenever there may be something to claim; on any thread.
    package func whenWoken(_ body: @escaping @Sendable () -> Void) { state.withLock { $0.wake = body } }

    func wake() { state.withLock { $0.wake }?() }

    func renewed(session: Int64, askedAt: Double) {
        state.withLock {
            $0.session = session
            $0.validUntil = askedAt + Self.leaseSeconds
            $0.absence = nil
        }
    }

    func learned(nodes: Int) { state.withLock { $0.nodes = max(1, nodes) } }
    func learned(storedBytes: Int) { state.withLock { $0.storedBytes = storedBytes } }
    func lost(_ reason: String) { state.withLock { $0.absence = reason } }
}
