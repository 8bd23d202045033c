// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import Glibc
import MailJob

/// Which jobs are in the workers' hands, written where it outlives the process: a small file that is mapped into
/// memory, so that a claim costs one store and no system call.
///
/// It survives the daemon's death, which is all that it is for: the next start learns which attempts ended it. It need
/// not survive the machine's (the kernel's death is no job's fault), so nothing is synced.
package final class InHand {
    /// What the process before this one left.
    package let found: [JobID]
    private let slots: UnsafeMutableBufferPointer<Int64>

    private static let slotCount = Limits.workersMax

    /// - Parameter path: made where it is missing. Throws `unwritable`.
    package init(path: String) throws(SpoolError) {
        let descriptor = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { throw Self.error(path) }
        defer { close(descriptor) }
        let length = Self.slotCount * MemoryLayout<Int64>.size
        // Allocated, and not only made longer: a full disk would be told by a signal at the first store.
        let result = posix_fallocate(descriptor, 0, off_t(length))
        guard result == 0 else { throw .unwritable(message: "\(path): \(String(cString: strerror(result)))") }
        let mapped = mmap(nil, length, PROT_READ | PROT_WRITE, MAP_SHARED, descriptor, 0)
        guard let mapped, mapped != MAP_FAILED else { throw Self.error(path) }
        let base = mapped.bindMemory(to: Int64.self, capacity: Self.slotCount)
        slots = UnsafeMutableBufferPointer(start: base, count: Self.slotCount)
        found = Set(slots.filter { $0 > 0 }.map { JobID(raw: $0) }).sorted()
    }

    private static func error(_ path: String) -> SpoolError {
        .unwritable(message: "\(path): \(String(cString: strerror(errno)))")
    }

    deinit { munmap(slots.baseAddress, slots.count * MemoryLayout<Int64>.size) }

    /// What was found is on record.
    package func clear() { slots.update(repeating: 0) }

    /// - Parameter worker: 0 up to `Limits.workersMax`.
    package func begin(_ worker: Int, _ job: JobID) { if slots.indices.contains(worker) { slots[worker] = job.raw } }
    package func end(_ worker: Int) { if slots.indices.contains(worker) { slots[worker] = 0 } }
}
