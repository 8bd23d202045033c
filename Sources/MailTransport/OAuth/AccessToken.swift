// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import Secrets

/// A token and how long it is good for. Times are monotonic seconds.
package struct AccessToken: Equatable, Sendable {
    package let secret: Secret
    package let expiresAt: Double
    private let lifetime: Double

    /// - Parameters:
    ///   - lifetime: seconds, as the endpoint told.
    ///   - askedAt: when it was asked: its life may have begun then.
    package init(_ secret: Secret, lifetime: Double, askedAt: Double) {
        self.secret = secret
        self.lifetime = lifetime
        expiresAt = askedAt + lifetime
    }

    /// A login takes time, and clocks differ: not up to the last moment.
    package func isUsable(at now: Double) -> Bool { now < expiresAt - min(30, lifetime / 10) }

    /// It is still usable, and its successor should be asked for meanwhile.
    package func isAging(at now: Double) -> Bool { now >= expiresAt - min(300, lifetime / 4) }
}

/// What a relay logs in with.
package struct BearerToken: Equatable, Sendable {
    package var secret: Secret
    /// It was had for an earlier login, so that a refusal may mean no more than that it was withdrawn since.
    package var isKept: Bool

    package init(secret: Secret, isKept: Bool) {
        self.secret = secret
        self.isKept = isKept
    }
}
