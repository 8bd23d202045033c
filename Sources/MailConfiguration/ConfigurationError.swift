// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

/// Why a configuration cannot be used, and where. Reads `FILE:LINE: key: message`.
package struct ConfigurationError: Error, Equatable, CustomStringConvertible {
    package var file: String
    /// 1 is the first line; 0 where the file as a whole is to blame.
    package var line: Int
    /// Dotted, such as `spool.jobs_max`; empty where none is to blame.
    package var key: String
    package var message: String

    package init(file: String, line: Int = 0, key: String = "", message: String) {
        self.file = file
        self.line = line
        self.key = key
        self.message = message
    }

    package var description: String {
        let place = line > 0 ? "\(file):\(line)" : file
        return key.isEmpty ? "\(place): \(message)" : "\(place): \(key): \(message)"
    }
}
