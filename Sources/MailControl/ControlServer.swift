// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import Glibc
import MailDispatch
import MailJob
import MailSpool
import MailTelemetry
import MailTransport
import MailWire
import NIOCore
import NIOPosix

/// What the operators' methods act on.
package struct ControlSubject: Sendable {
    package var spool: Spool
    package var dispatcher: Dispatcher
    package var events: Events
    package var clock: any Clock
    /// Of the daemon's kinds, in their order.
    package var schemas: [any JobSchema]
    package var startedAt: WallTime
    /// Tells "running" or "draining".
    package var state: @Sendable () -> String
    /// Refuses new jobs from now on (true), or takes them again; tells how it was before, on any thread.
    package var drain: @Sendable (Bool, @escaping @Sendable (_ wasDraining: Bool) -> Void) -> Void
    /// Reads the configuration again; the answer may come on any thread.
    package var reload: @Sendable (@escaping @Sendable (Result<ReloadOutcome, ReloadFailure>) -> Void) -> Void
    /// Tries a relay by its name; nil where there is none of it. The answer may come on any thread.
    package var check: @Sendable (String, @escaping @Sendable (CheckReport?) -> Void) -> Void

    /// Names of the kinds.
    var kinds: [String] { schemas.map(\.type) }

    /// Of a kind by its number; nil for one that is in the spool and not in this daemon.
    func schema(_ kind: UInt8) -> (any JobSchema)? { Int(kind) < schemas.count ? schemas[Int(kind)] : nil }

    package init(
        spool: Spool, dispatcher: Dispatcher, events: Events, clock: any Clock, schemas: [any JobSchema],
        startedAt: WallTime, state: @escaping @Sendable () -> String,
        drain: @escaping @Sendable (Bool, @escaping @Sendable (_ wasDraining: Bool) -> Void) -> Void,
        reload: @escaping @Sendable (@escaping @Sendable (Result<ReloadOutcome, ReloadFailure>) -> Void) -> Void,
        check: @escaping @Sendable (String, @escaping @Sendable (CheckReport?) -> Void) -> Void
    ) {
        self.spool = spool
        self.dispatcher = dispatcher
        self.events = events
        self.clock = clock
        self.schemas = schemas
        self.startedAt = startedAt
        self.state = state
        self.drain = drain
        self.reload = reload
        self.check = check
    }
}

/// Keys of the configuration that took effect, and those that wait for a restart.
package struct ReloadOutcome: Equatable, Sendable {
    package var changed: [String]
    package var restartNeeded: [String]

    package init(changed: [String], restartNeeded: [String]) {
        self.changed = changed
        self.restartNeeded = restartNeeded
    }
}

package struct ReloadFailure: Error, Equatable, Sendable {
    /// Names file, line and key.
    package var message: String

    package init(message: String) { self.message = message }
}

/// The operators' socket: a Varlink service (https://varlink.org/Service) with the interface `io.maild.Control`.
///
/// Who may connect is decided by the socket's owner, group and mode, as for any of systemd's own sockets.
package final class ControlServer: @unchecked Sendable {
    private let loop: any EventLoop
    private let methods: ControlMethods
    // On the loop alone.
    private var servers: [any Channel] = []
    private var sessions: [ObjectIdentifier: any Channel] = [:]

    package init(on loop: any EventLoop, subject: ControlSubject) {
        self.loop = loop
        methods = ControlMethods(subject)
    }

    /// Serves a listening Unix socket; the descriptor is owned from here on.
    package func serve(_ descriptor: CInt) -> EventLoopFuture<Void> {
        ServerBootstrap(group: loop)
            .childChannelOption(.allowRemoteHalfClosure, value: true)
            .childChannelInitializer { [self] channel in
                Operator.of(channel).flatMapThrowing { [self] caller in
                    sessions[ObjectIdentifier(channel)] = channel
                    channel.closeFuture.whenComplete { [self] _ in sessions[ObjectIdentifier(channel)] = nil }
                    try channel.pipeline.syncOperations.addHandler(ControlSession(methods, caller: caller))
                }
            }
            .withBoundSocket(descriptor)
            .map { [self] channel in servers.append(channel) }
    }

    /// Stops listening and hangs up.
    package func close() -> EventLoopFuture<Void> {
        loop.flatSubmit { [self] in
            let open = Array(sessions.values) + servers
            return EventLoopFuture.andAllComplete(open.map { $0.close() }, on: loop)
        }
    }
}
