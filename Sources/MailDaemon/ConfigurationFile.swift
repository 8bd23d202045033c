// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailConfiguration

extension Configuration {
    package static let defaultPath = "/etc/maild/maild.toml"
    /// Reads `path`. Without one it reads /etc/maild/maild.toml, whose absence is no error: then every key has its
    /// default. `stateDirectory` moves all default paths below itself.
    package static func load(path: String?, stateDirectory: String?) throws(ConfigurationError) -> Configuration {
        let file = path ?? defaultPath
        guard let text = try ConfigurationText.of(file, mayBeMissing: path == nil) else {
            return try parse("", file: file, stateDirectory: stateDirectory)
        }
        return try parse(text, file: file, stateDirectory: stateDirectory)
    }
}
