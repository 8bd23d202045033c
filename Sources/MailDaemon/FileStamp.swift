// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailTransport

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

/// By what a file that was replaced or written again is told from the one that was read.
struct FileStamp: Equatable, Sendable {
    private var inode: UInt64 = 0
    private var bytes: Int64 = 0
    private var seconds: Int64 = 0
    private var nanoseconds: Int64 = 0

    /// A file that is not there has a stamp too: its coming is a change.
    init(_ path: String) {
        var status = stat()
        guard stat(path, &status) == 0 else { return }
        inode = UInt64(status.st_ino)
        bytes = Int64(status.st_size)
        seconds = Int64(status.st_mtim.tv_sec)
        nanoseconds = Int64(status.st_mtim.tv_nsec)
    }
}

extension Kinds {
    /// Of the files that relays read once. Secrets are not among them: they are read at each login.
    static func stamps(_ configuration: Configuration) -> [FileStamp] {
        configuration.usedRelays.map(\.tlsFiles).flatMap { files in
            [files.roots, files.certificate, files.key].compactMap { $0.map(FileStamp.init) }
        }
    }
}
