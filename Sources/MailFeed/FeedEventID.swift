// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

/// The kinds of a feed's events in the journal's catalog (`journalctl MESSAGE_ID=…`). An id never gets another
/// meaning.
enum FeedEventID {
    static let started: StaticString = "b05d0195ce8e4209be827c34e48af30e"
    static let connected: StaticString = "0f9c073bac454c7a809de08345c90b1e"
    static let disconnected: StaticString = "c1aac707d205483a8e00f820973cc300"
    static let linked: StaticString = "cc3ef73e2f0e4378ae0e741df33937c0"
    static let linkLost: StaticString = "44b13b27bc054b089ed65b1990a3eeac"
    static let watchLost: StaticString = "14a975733d4a424b91723ea5a04ef7d5"
    static let paused: StaticString = "e0d1889e4c8f48b3810017c6f6ade59c"
    static let resumed: StaticString = "f44383306f924aa1b815e93593c28da5"
    static let rejected: StaticString = "bf4691f67fee4b77aabd4ac35cd764e6"
    static let trouble: StaticString = "0656329eec604d7a8ee2ea9068127453"
    static let stopping: StaticString = "75d19677eca04aea8ed2561d7655fdf9"
    static let stopped: StaticString = "7e1b40a194e849a3862ed92c69b16334"
    static let startFailed: StaticString = "6869b57c3b0a45dca85c211b31764833"
}
