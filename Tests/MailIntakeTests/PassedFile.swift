// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import Glibc
import MailWire

/// A descriptor to be passed; closed when it is let go of.
final class PassedFile {
    let number: CInt

    init(_ number: CInt) { self.number = number }

    deinit { close(number) }

    /// A file without a name.
    init(_ content: [UInt8]) {
        var path = Array("/tmp/maild-passed-XXXXXX\0".utf8CString.dropLast())
        number = mkstemp(&path)
        unlink(path)
        _ = content.withUnsafeBytes { write(number, $0.baseAddress, $0.count) }
    }

    convenience init(opening path: String, _ flags: CInt) { self.init(open(path, flags)) }

    /// The write end; the read end comes to its end once nobody has it any more.
    static func pipe() -> (read: PassedFile, write: PassedFile) {
        var ends: [CInt] = [-1, -1]
        _ = Glibc.pipe(&ends)
        return (PassedFile(ends[0]), PassedFile(ends[1]))
    }

    /// Everybody else has closed the other end, within half a minute.
    var otherEndIsClosed: Bool {
        var polled = pollfd(fd: number, events: Int16(POLLIN), revents: 0)
        return poll(&polled, 1, 30_000) == 1 && polled.revents & Int16(POLLHUP) != 0
    }
}

/// A job with these attachments, as members of their objects.
func job(_ ref: Int, attaching attachments: [String], content: String = "") -> String {
    let list = attachments.map { #"{"name":"a",\#($0)}"# }.joined(separator: ",")
    return #"{"ref":"\#(ref)","to":"a@example.com","from":"b@example.com","content":"\#(content)","#
        + #""attachments":[\#(list)]}"# + "\n"
}

func data(_ content: [UInt8]) -> String { #""data":"\#(Base64Text.encode(content))""# }
