// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import Glibc
import MailWire
import NIOCore
import Synchronization

/// Who is at the other end of one connection, for as long as it lasts.
final class Operator: Sendable {
    let uid: UInt32
    private let state = Mutex(State())

    private struct State {
        var isGone = false
        var farewells: [@Sendable () -> Void] = []
    }

    init(uid: UInt32) { self.uid = uid }

    /// The connection has ended: nobody reads what is still to come.
    var isGone: Bool { state.withLock { $0.isGone } }

    /// `body` is called once the connection has ended, at once if it has; on any thread.
    func whenGone(_ body: @escaping @Sendable () -> Void) {
        let isGone = state.withLock { state in
            if !state.isGone { state.farewells.append(body) }
            return state.isGone
        }
        if isGone { body() }
    }

    func leave() {
        let farewells = state.withLock { state in
            defer { state.farewells = [] }
            state.isGone = true
            return state.farewells
        }
        for farewell in farewells { farewell() }
    }

    /// As the kernel saw it at connect(2): unix(7), SO_PEERCRED. The overflow user where it cannot be known.
    static func of(_ channel: any Channel) -> EventLoopFuture<Operator> {
        guard let socket = channel as? any SocketOptionProvider else {
            return channel.eventLoop.makeSucceededFuture(Operator(uid: 65534))
        }
        let option: EventLoopFuture<Credential> = socket.unsafeGetSocketOption(
            level: .init(SOL_SOCKET), name: .init(SO_PEERCRED))
        return option.map { Operator(uid: $0.uid) }.flatMapErrorThrowing { _ in Operator(uid: 65534) }
    }

    /// Laid out as `struct ucred`.
    private struct Credential {
        var pid: Int32 = 0
        var uid: UInt32 = 65534
        var gid: UInt32 = 65534
    }
}

/// Where the replies to one call go: one, or several with `continues` and a last one without. Callable on any thread.
struct Answer: Sendable {
    let caller: Operator
    /// The connection's.
    let loop: any EventLoop
    /// The call asked for several replies.
    let wantsMore: Bool
    let write: @Sendable (_ reply: VarlinkReply, _ taken: (@Sendable () -> Void)?) -> Void

    func callAsFunction(_ reply: VarlinkReply) { write(reply, nil) }

    /// One of several replies; `taken` once the connection has room for another, and never where the caller has gone.
    func more(_ parameters: JSONObject, taken: @escaping @Sendable () -> Void) {
        write(VarlinkReply(parameters, continues: true), taken)
    }
}
