// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import Glibc

/// Room that is put by for the ends of jobs: a file beside the spool that is given up when not even these fit any more.
///
/// What was delivered must be written down, or it is delivered again; and others may fill the disk whatever bound we
/// keep ourselves.
package final class Reserve {
    private let path: String
    package private(set) var bytes = 0

    package init(path: String) {
        self.path = path
        var status = stat()
        if stat(path, &status) == 0 { bytes = Int(status.st_size) }
    }

    /// Makes it as large as is wanted; where there is no room it stays as it is, and is tried again later.
    package func fill(to wanted: Int) {
        guard bytes != wanted else { return }
        guard wanted > 0 else { return _ = release() }
        let descriptor = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { return }
        defer { close(descriptor) }
        // Allocated, and not only made longer: a hole takes no room.
        guard ftruncate(descriptor, off_t(min(bytes, wanted))) == 0,
            posix_fallocate(descriptor, 0, off_t(wanted)) == 0
        else { return _ = release() }
        bytes = wanted
    }

    /// False where there was none.
    package func release() -> Bool {
        defer { bytes = 0 }
        return unlink(path) == 0 && bytes > 0
    }
}
