// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import Synchronization

/// Who of the machine's users is which app. May be asked on any thread; a reload replaces what it knows.
///
/// Which groups a user has is known only while it is connected, so what that made it is remembered, for jobs that are
/// told of later by their user alone.
package final class Apps: Sendable {
    private struct State {
        var apps: [App] = []
        var other = App.other
        var byUser: [UInt32: Int] = [:]
        var byGroup: [UInt32: Int] = [:]
        /// Users who are an app by a group of theirs, and the app's name.
        var members: [UInt32: String] = [:]
    }

    private let state = Mutex(State())

    /// - Parameter apps: in the order in which they take those who are in groups of several; the one that is named
    ///   `other` is everybody else.
    package init(_ apps: [App] = []) { replace(apps) }

    package func replace(_ apps: [App]) {
        state.withLock { state in
            state.apps = apps.filter { $0.name != App.otherName }
            state.other = apps.first { $0.name == App.otherName } ?? .other
            (state.byUser, state.byGroup) = ([:], [:])
            for (index, app) in state.apps.enumerated() {
                for user in app.users { state.byUser[user] = index }
                for group in app.groups { state.byGroup[group] = index }
            }
        }
    }

    /// True where none is configured: then nobody asks who is which.
    package var isEmpty: Bool { state.withLock { $0.apps.isEmpty && $0.other == .other } }

    /// Whether it matters which groups somebody has.
    package var haveGroups: Bool { state.withLock { !$0.byGroup.isEmpty } }

    /// In the order of the configuration, `other` last.
    package var names: [String] { state.withLock { $0.apps.map(\.name) + [App.otherName] } }

    /// Who is connected. A user's own app goes before that of a group.
    package func app(user: UInt32, groups: [UInt32]) -> App {
        state.withLock { state in
            if let index = state.byUser[user] { return state.apps[index] }
            return groups.compactMap { state.byGroup[$0] }.min().map { state.apps[$0] } ?? state.other
        }
    }

    /// Whose job it is.
    package func name(of user: UInt32) -> String {
        state.withLock { state in
            if let index = state.byUser[user] { return state.apps[index].name }
            guard let name = state.members[user], state.apps.contains(where: { $0.name == name }) else {
                return App.otherName
            }
            return name
        }
    }

    /// The user of this machine as whom a job of another machine's user goes on: the same number, unless an app of that
    /// name is configured here and is somebody else.
    package func user(_ user: UInt32, ofApp name: String) -> UInt32 {
        if name == App.otherName || self.name(of: user) == name { return user }
        return state.withLock { state in state.apps.first { $0.name == name }?.users.min() ?? user }
    }

    /// Whether `name` tells this user's jobs apart.
    package func isUser(_ user: UInt32, of name: String) -> Bool { self.name(of: user) == name }

    // MARK: Members of groups

    private static let factPrefix = "app."

    /// The fact that survives a restart by which the spool keeps it.
    package static func fact(of user: UInt32) -> String { "\(factPrefix)\(user)" }

    /// A user has connected who is `app`. True where that is news to be kept.
    package func note(_ user: UInt32, is app: App) -> Bool {
        state.withLock { state in
            let isOwn = state.byUser[user] != nil
            let known = state.members[user]
            guard !isOwn, known != app.name, known != nil || app.name != App.otherName else { return false }
            state.members[user] = app.name
            return true
        }
    }

    /// What the spool has kept.
    package func remember(_ facts: [String: String]) {
        state.withLock { state in
            for (name, app) in facts where name.hasPrefix(Self.factPrefix) {
                if let user = UInt32(name.dropFirst(Self.factPrefix.count)) { state.members[user] = app }
            }
        }
    }
}
