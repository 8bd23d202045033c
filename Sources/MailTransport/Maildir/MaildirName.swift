// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailJob

/// The file's name for one recipient of one job: time, job and recipient, host. The same again on every attempt, so
/// that a delivery repeated after a crash replaces the file and does not add one.
struct MaildirName {
    /// What is kept of each part, so that the whole stays below the 255 octets of a file's name.
    static let recipientBytesMax = 140
    static let hostBytesMax = 64

    let text: String

    init(job: JobID, recipient: String, host: String) {
        var who = Self.escaped(recipient)
        if who.utf8.count > Self.recipientBytesMax {
            // Cut names differ by their hash; only one sender's own job could be made to collide.
            who = String(who.prefix(Self.recipientBytesMax - 17)) + "~" + String(Self.hash(recipient), radix: 16)
        }
        let place = Self.escaped(host.isEmpty ? "localhost" : host).prefix(Self.hostBytesMax)
        text = "\(job.time.milliseconds / 1000).\(job)_\(who).\(place)"
    }

    /// Slash, colon and whatever else a shell or a mail reader could stumble over becomes %XX.
    private static func escaped(_ text: String) -> String {
        var escaped = ""
        for byte in text.utf8 {
            switch byte {
            case 0x30...0x39, 0x41...0x5A, 0x61...0x7A, 0x40, 0x2E, 0x2B, 0x2D, 0x5F, 0x3D:
                escaped.unicodeScalars.append(Unicode.Scalar(byte))
            default:
                escaped += "%" + (byte < 16 ? "0" : "") + String(byte, radix: 16, uppercase: true)
            }
        }
        return escaped
    }

    /// FNV-1a: the same in every process, as Swift's own hashing is not.
    private static func hash(_ text: String) -> UInt64 {
        text.utf8.reduce(0xCBF2_9CE4_8422_2325) { ($0 ^ UInt64($1)) &* 0x100_0000_01B3 }
    }
}
