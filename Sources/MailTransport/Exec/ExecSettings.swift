// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailJob

/// `[exec]`, and a program for each `[exec.NAME]`.
package struct ExecSettings: KindSettings {
    /// Programs at a time, all together; nil: half of the workers.
    package var concurrencyMax: Int?
    /// In the order of their names.
    package var programs: [ProgramSettings] = []

    package init() {}
}

/// What a job may run, and how.
package struct ProgramSettings: Equatable, Sendable {
    package var name: String
    /// An absolute path, and arguments.
    package var command: [String]
    package var directory = "/"
    /// Names of variables of our own environment that it gets.
    package var environment: [String] = []
    package var secondsMax = 60.0
    /// Of this program at a time; nil: as `Turnstile` has it.
    package var concurrencyMax: Int?

    package init(name: String, command: [String]) {
        self.name = name
        self.command = command
    }
}
