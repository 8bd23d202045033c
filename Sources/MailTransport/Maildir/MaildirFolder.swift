// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailJob
import NIOCore

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

/// A directory with tmp, new and cur. Everything here blocks.
///
/// The one rule: a file appears in new whole and on disk, or not at all. Hence tmp, fsync, rename, fsync of new.
package struct MaildirFolder: Sendable {
    package let path: String
    let host: String
    private let files: MaildirFiles

    /// `path`: without a slash at its end. `host`: our name, part of the files' names.
    package init(path: String, host: String, files: MaildirFiles = MaildirFiles()) {
        self.path = path
        self.host = host
        self.files = files
    }

    /// Makes what is missing of the directory, the ones above it included, for us alone.
    package func prepare() throws(MaildirError) {
        var above = path.startIndex
        while let slash = path[above...].dropFirst().firstIndex(of: "/") {
            try files.makeDirectory(String(path[..<slash]))
            above = slash
        }
        for directory in [path, path + "/tmp", path + "/new", path + "/cur"] { try files.makeDirectory(directory) }
    }

    /// A verdict for each recipient, whatever happens to the others.
    package func deliver(_ mail: Mail) -> [Verdict] {
        let message = Self.unixLines(mail.message)
        return mail.recipients.map { recipient in
            guard AddressForm(recipient) != .unsafe, AddressForm(mail.sender) != .unsafe else {
                return .rejected(Reply(553, "5.1.3", "the address cannot be written in a header"))
            }
            let name = MaildirName(job: mail.job, recipient: recipient, host: host).text
            do throws(MaildirError) {
                try write(head: "Return-Path: <\(mail.sender)>\nDelivered-To: \(recipient)\n", message, as: name)
                return .delivered(Reply(250, "2.0.0", "written to \(path)/new/\(name)"))
            } catch {
                return .deferred(error.reply)
            }
        }
    }

    private func write(head: String, _ message: ByteBuffer, as name: String) throws(MaildirError) {
        do {
            try writeOnce(head: head, message, as: name)
        } catch  where error.code == ENOENT {
            // Somebody removed the directories under us.
            try prepare()
            try writeOnce(head: head, message, as: name)
        }
    }

    private func writeOnce(head: String, _ message: ByteBuffer, as name: String) throws(MaildirError) {
        let draft = "\(path)/tmp/\(name)"
        do {
            try files.store([ByteBuffer(string: head), message], in: draft)
            try files.move(draft, to: "\(path)/new/\(name)")
        } catch {
            unlink(draft)
            throw error
        }
        try files.syncDirectory("\(path)/new")
    }

    /// CRLF becomes LF, as every reader of a Maildir expects; a CR elsewhere stays.
    static func unixLines(_ message: ByteBuffer) -> ByteBuffer {
        var output = ByteBuffer()
        output.reserveCapacity(message.readableBytes)
        message.withUnsafeReadableBytes { raw in
            guard let base = raw.baseAddress else { return }
            var run = 0
            var index = 0
            while let found = memchr(base + index, 0x0D, raw.count - index) {
                let at = UnsafeRawPointer(found) - base
                if at + 1 < raw.count, raw[at + 1] == 0x0A {
                    output.writeBytes(raw[run..<at])
                    run = at + 1
                }
                index = at + 1
            }
            output.writeBytes(raw[run...])
        }
        return output
    }
}
