// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import DNS
import MailConfiguration
import MailControl
import MailDispatch
import MailIntake
import MailJob
import MailMessage
import MailSpool
import MailTelemetry
import MailTransport
import NIOCore
import Synchronization
import Systemd

/// Reads the configuration again, on the main thread, for SIGHUP and for `mailctl reload`.
///
/// A bad file changes nothing: the old configuration stays, and who asked is told file, line and key.
final class Reloader: Sendable {
    typealias Answer = @Sendable (Result<ReloadOutcome, ReloadFailure>) -> Void

    private let house: House
    private let load: @Sendable () throws(DaemonFailure) -> Configuration
    private let waiting = Mutex<[Answer]>([])
    private let notifier = Notifier()

    init(_ house: House, load: @escaping @Sendable () throws(DaemonFailure) -> Configuration) {
        self.house = house
        self.load = load
    }

    /// On any thread; the answer comes from the main one.
    func request(_ answer: @escaping Answer) {
        waiting.withLock { $0.append(answer) }
        Signals.askForReload()
    }

    /// On the main thread.
    func reload() {
        notifier.reloading()
        let result = Result { () throws(DaemonFailure) in try apply(load()) }
            .mapError { ReloadFailure(message: $0.description) }
        switch result {
        case .success(let outcome): house.events.reloaded(changed: outcome.changed, error: nil)
        case .failure(let failure): house.events.reloaded(changed: [], error: failure.message)
        }
        notifier.ready()
        house.heartbeat.touch()
        for answer in waiting.withLock({ answers in
            defer { answers = [] }
            return answers
        }) { answer(result) }
    }

    private func apply(_ new: Configuration) throws(DaemonFailure) -> ReloadOutcome {
        let old = house.configuration
        let changes = new.changes(from: old)
        // May fail (a Maildir that cannot be made), so it comes before anything is changed.
        // New too where a certificate was renewed in the files of the old names.
        let stamps = Kinds.stamps(new)
        let transport =
            new.ways != old.ways || stamps != house.tlsStamps
            ? try Kinds.mailTransport(new, house.kinds.vault, on: house.delivery, events: house.events) : nil
        let renewals = try house.kinds.renewals(new)
        let queues = try defineQueues(new)
        // Before any job may name a new one.
        house.events.know(queues: queues, configured: new.queueNames)
        house.configuration = new
        house.tlsStamps = stamps
        house.events.journal.level = Priority(new.logLevel)
        house.events.showsAddresses = new.logAddresses
        house.spool?.limits = SpoolLimits(new)
        house.events.apps.replace(new.apps)
        let house = house
        let signer = DKIMSigner(new.dkim)
        let front = house.front.submit {
            house.intake?.apply(IntakeSettings(new, queues: queues), schemas: house.kinds.schemas(new))
        }
        let bound = transport.map { UnsafeTransfer($0) }
        house.delivery.execute {
            if let bound { house.kinds.email.replace(bound.value) }
            house.kinds.email.replace(signer)
            house.kinds.email.replace(new.bounces)
            for renewal in renewals { renewal.carryOut() }
            house.dispatcher?.apply(DispatchSettings(new, queues: queues))
            house.checks.configuration = new
        }
        // Whoever hears of the outcome may count on it at both sockets: operators are on the delivery loop.
        try? front.wait()
        return ReloadOutcome(changed: changes.changed, restartNeeded: changes.restartNeeded)
    }
}

extension Reloader {
    /// A queue that the file names for the first time is given its number before any job may name it.
    private func defineQueues(_ configuration: Configuration) throws(DaemonFailure) -> [String: UInt16] {
        guard let spool = house.spool else { return [:] }
        let promise = house.front.makePromise(of: [String: UInt16].self)
        spool.define(queues: configuration.queueNames) { promise.completeWith($0.mapError { $0 as any Error }) }
        do {
            return try promise.futureResult.wait()
        } catch {
            throw .spool(.failed(message: "queues: \((error as? SpoolError)?.message ?? "\(error)")"))
        }
    }
}

/// Made here, used on the delivery loop alone.
private struct UnsafeTransfer: @unchecked Sendable {
    let value: any MailTransport
    init(_ value: any MailTransport) { self.value = value }
}

extension Configuration {
    /// What decides where mail goes: a change of it makes a new transport.
    fileprivate var ways: Ways {
        Ways(hostname: hostname, relays: usedRelays, table: routeTable, maildir: maildir, dns: dns)
    }

    fileprivate struct Ways: Equatable {
        var hostname: String
        var relays: [RelaySettings]
        var table: RouteTable
        var maildir: Maildir
        var dns: ResolverSettings
    }
}
