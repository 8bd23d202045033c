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
        var gauges = FleetGauges()
        var storedBytes = 0
        var pausedQueues: [UInt16: String] = [:]
        var absence: SpoolError?
        var wake: (@Sendable () -> Void)?
        var note: (@Sendable () -> FleetNote)?
        var change: (@Sendable () -> Void)?
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
    package var nodes: Int { state.withLock { max(1, $0.gauges.live) } }
    /// As it stood at the last renewal; the lease as it is now.
    package var gauges: FleetGauges {
        state.withLock {
            var gauges = $0.gauges
            gauges.leaseSeconds = max(0, $0.validUntil - Self.now())
            return gauges
        }
    }
    /// Why the database is away; nil while it is there.
    package var absence: String? { state.withLock { $0.absence?.message } }
    /// The tables were brought to a later format while this node was away: it can take no part any more.
    var refusal: SpoolError? {
        guard case .tooNew? = state.withLock({ $0.absence }) else { return nil }
        return state.withLock { $0.absence }
    }
    /// Numbers and names of those that are paused for every node.
    package var pausedQueues: [UInt16: String] { state.withLock { $0.pausedQueues } }
    var storedBytes: Int { state.withLock { $0.storedBytes } }

    /// `body` whenever there may be something to claim; on any thread.
    package func whenWoken(_ body: @escaping @Sendable () -> Void) { state.withLock { $0.wake = body } }

    /// What is told to the others of this node; asked on the keeper's thread.
    package func tells(_ note: @escaping @Sendable () -> FleetNote) { state.withLock { $0.note = note } }

    /// `body` whenever another number of nodes lives, or the database has gone or come; on any thread.
    package func whenChanged(_ body: @escaping @Sendable () -> Void) { state.withLock { $0.change = body } }

    private func change(_ body: (inout State) -> Void) {
        let tell = state.withLock { state in
            let before = (state.gauges.live, state.absence)
            body(&state)
            return before == (state.gauges.live, state.absence) ? nil : state.change
        }
        tell?()
    }

    var note: FleetNote {
        let ask = state.withLock { $0.note }
        return ask?() ?? FleetNote()
    }

    func wake() { state.withLock { $0.wake }?() }

    func renewed(session: Int64, askedAt: Double) {
        change {
            $0.session = session
            $0.validUntil = askedAt + Self.leaseSeconds
            $0.absence = nil
        }
    }

    func learned(_ gauges: FleetGauges) { change { $0.gauges = gauges } }
    func learned(storedBytes: Int) { state.withLock { $0.storedBytes = storedBytes } }
    func learned(paused: [UInt16: String]) { state.withLock { $0.pausedQueues = paused } }
    func lost(_ reason: SpoolError) { change { $0.absence = reason } }
}
