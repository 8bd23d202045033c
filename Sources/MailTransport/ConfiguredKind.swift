// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailWire
import NIOCore

/// A kind of job that is there where the configuration names it; docs/adding-a-kind.md builds one.
///
/// `Settings` is what the configuration says, `Plan` what came of it: files that it names were read, and can be used.
package protocol ConfiguredKind: JobKind, SendableMetatype {
    associatedtype Settings: KindSettings
    associatedtype Plan: Sendable

    /// What a job of this kind must look like.
    static func schema(_ settings: Settings) -> any JobSchema
    /// On the main thread, at the start and at a reload; an error changes nothing.
    static func plan(_ settings: Settings) throws(SettingsFault) -> Plan
    /// - Parameter loop: the delivery loop, on which it lives.
    init(_ plan: Plan, loop: any EventLoop, observer: any KindObserver)
    /// A reload: for jobs that begin from now on.
    func apply(_ plan: Plan)
}

package protocol KindSettings: Equatable, Sendable {
    /// What is so where the configuration says nothing.
    init()
}

/// What a setting names is not there, or cannot be used.
package struct SettingsFault: Error, Equatable, CustomStringConvertible {
    /// Dotted, as in the configuration.
    package var key: String
    package var reason: String

    package init(key: String, reason: String) {
        self.key = key
        self.reason = reason
    }

    package var description: String { "\(key): \(reason)" }
}

/// Hears what a kind sees of the world it works with, on the delivery loop.
package protocol KindObserver: AnyObject {
    /// Nothing can be done for jobs that need `name` (a server, a program): they wait, and one of them tries again in
    /// so many seconds. `name` comes from outside.
    func away(_ name: String, cause: String, seconds: Double)
    func back(_ name: String)
}
