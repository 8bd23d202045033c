// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailJob

/// What the users of one app have in the spool together.
package struct AppUsage: Equatable, Sendable {
    package var app: String
    /// Ready, scheduled or held.
    package var jobs = 0
    package var failed = 0
    /// Of all jobs that are not finished.
    package var bytes = 0
}

extension Apps {
    /// For each app of the configuration, in its order, and for `other`.
    package func usage(_ tally: Tally) -> [AppUsage] {
        var usage = names.map { AppUsage(app: $0) }
        for (user, count) in tally.users {
            let name = name(of: user)
            guard let index = usage.firstIndex(where: { $0.app == name }) else { continue }
            usage[index].jobs += count.waiting
            usage[index].failed += count.failed
            usage[index].bytes += count.bytes
        }
        return usage
    }
}
