// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import CSystemd
import Glibc

/// journald by its native protocol: each field can be asked for (`journalctl MAILD_JOB=…`).
package struct NativeJournal: JournalSink {
    private let identifier: [UInt8]

    package init(identifier: String) { self.identifier = Array("SYSLOG_IDENTIFIER=\(identifier)".utf8) }

    package func write(_ records: UnsafeRawBufferPointer) {
        JournalRecord.forEach(records) { send($0) }
    }

    private func send(_ record: JournalRecord) {
        let digit = UInt8(ascii: "0") + record.priority.rawValue
        let priority = Array("PRIORITY=".utf8) + [digit]
        priority.withUnsafeBytes { priority in
            identifier.withUnsafeBytes { identifier in
                var fields = [Self.vector(priority), Self.vector(identifier)]
                record.forEachField { fields.append(Self.vector($0)) }
                // Where journald is away the line is lost; there is nobody left to tell.
                _ = sd_journal_sendv(fields, CInt(fields.count))
            }
        }
    }

    private static func vector(_ bytes: UnsafeRawBufferPointer) -> iovec {
        iovec(iov_base: UnsafeMutableRawPointer(mutating: bytes.baseAddress), iov_len: bytes.count)
    }
}

/// Whether journald reads what we write to standard error (systemd.exec(5), `$JOURNAL_STREAM`).
package enum JournalStream {
    package static var isStandardError: Bool {
        guard let value = getenv("JOURNAL_STREAM") else { return false }
        return matches(String(cString: value), descriptor: 2)
    }

    /// `stream` is `device:inode` in decimals. An inherited variable may speak of a descriptor that was redirected
    /// since, so both numbers are compared.
    package static func matches(_ stream: String, descriptor: CInt) -> Bool {
        let parts = stream.split(separator: ":", omittingEmptySubsequences: false)
        var status = stat()
        guard parts.count == 2, let device = UInt64(parts[0]), let inode = UInt64(parts[1]),
            fstat(descriptor, &status) == 0
        else { return false }
        return UInt64(status.st_dev) == device && UInt64(status.st_ino) == inode
    }
}
