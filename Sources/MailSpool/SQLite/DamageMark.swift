// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import Glibc

/// A note beside a spool whose file was found to be damaged, so that no later start goes on writing to it: every commit
/// may spoil what could still be saved. Who has mended the file removes the note.
enum DamageMark {
    private static func name(_ path: String) -> String { path + ".damaged" }

    static func write(_ message: String, _ path: String) {
        let descriptor = open(name(path), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { return }
        defer { close(descriptor) }
        let text = message + "\n"
        _ = Glibc.write(descriptor, text, text.utf8.count)
    }

    /// Throws `corrupt` where there is such a note.
    static func refuse(_ path: String) throws(SpoolError) {
        guard access(name(path), F_OK) == 0 else { return }
        throw .corrupt(
            message:
                "\(path): was found to be damaged by an earlier start, as \(name(path)) says; remove that file when "
                + "the spool is mended")
    }
}
