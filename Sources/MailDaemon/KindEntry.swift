// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailTelemetry
import MailTransport
import MailWire
import NIOCore

/// A kind in the list of `Kinds`: where its settings stand, and how it comes about.
struct KindEntry: Sendable {
    let type: String
    /// Whether the configuration names it.
    let isNamed: @Sendable (Configuration) -> Bool
    /// Of a kind that is no longer named it takes no job.
    let schema: @Sendable (Configuration) -> any JobSchema
    /// Only where it is named.
    let open: @Sendable (Configuration, any EventLoop, Events) throws(DaemonFailure) -> OpenKind

    init<Kind: ConfiguredKind>(
        _ kind: Kind.Type, _ type: String, _ settings: @escaping @Sendable (Configuration) -> Kind.Settings?
    ) {
        self.type = type
        isNamed = { settings($0) != nil }
        schema = { settings($0).map(Kind.schema) ?? ClosedSchema(type: type) }
        open = { (configuration, loop, events) throws(DaemonFailure) in
            guard let named = settings(configuration) else {
                throw .system("\(type) was to be opened, and is not configured")
            }
            let observer = KindTelemetry(events, type)
            let kind = Kind(try Self.plan(Kind.self, named), loop: loop, observer: observer)
            return OpenKind(kind) { (new) throws(DaemonFailure) in
                let plan = try Self.plan(Kind.self, settings(new) ?? Kind.Settings())
                return DeliveryChange { kind.apply(plan) }
            }
        }
    }

    private static func plan<Kind: ConfiguredKind>(
        _ kind: Kind.Type, _ settings: Kind.Settings
    ) throws(DaemonFailure) -> Kind.Plan {
        do throws(SettingsFault) {
            return try kind.plan(settings)
        } catch {
            throw DaemonFailure(status: 78, description: error.description)
        }
    }
}

/// A kind at work.
struct OpenKind {
    let kind: any JobKind
    /// A reload, on the main thread; an error leaves everything as it was.
    let renewal: (Configuration) throws(DaemonFailure) -> DeliveryChange

    init(_ kind: any JobKind, renewal: @escaping (Configuration) throws(DaemonFailure) -> DeliveryChange) {
        self.kind = kind
        self.renewal = renewal
    }
}

/// Made on the main thread, carried out on the delivery loop alone.
struct DeliveryChange: @unchecked Sendable {
    let carryOut: () -> Void

    init(_ carryOut: @escaping () -> Void) { self.carryOut = carryOut }
}

/// Carries what a kind sees into the log.
final class KindTelemetry: KindObserver {
    private let events: Events
    private let kind: String

    init(_ events: Events, _ kind: String) {
        self.events = events
        self.kind = kind
    }

    func away(_ name: String, cause: String, seconds: Double) {
        events.kindAway(kind, name: name, cause: cause, seconds: seconds)
    }

    func back(_ name: String) { events.kindBack(kind, name: name) }
}
