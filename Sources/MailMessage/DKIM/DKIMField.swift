// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailJob

/// The DKIM-Signature field (RFC 6376 §3.5). There is no l=: what it leaves unsigned anyone may write (§8.2).
struct DKIMField {
    private static let name: StaticString = "DKIM-Signature"
    private var writer = MessageWriter(capacity: 1024)

    /// All but the signature.
    init(_ entry: DKIMEntry, _ names: [StaticString], bodyHash: String, time: WallTime) {
        writer.append(Self.name)
        writer.append(": v=1; a=")
        writer.append(entry.key.algorithm)
        writer.append("; c=relaxed/relaxed;")
        append("d=\(entry.domain);")
        append("s=\(entry.selector);")
        append("t=\(time.milliseconds / 1000);")
        writer.foldIfNeeded(for: 9)
        writer.append(" h=")
        for (index, name) in names.enumerated() {
            // RFC 6376 §3.5: blanks and folds may stand around each colon.
            if index > 0, writer.column + name.utf8CodeUnitCount + 2 > Limits.mailLineBytesWanted {
                writer.endLine()
                writer.append(0x20)
            }
            writer.append(name)
            writer.append(index + 1 < names.count ? 0x3A : 0x3B)
        }
        append("bh=\(bodyHash);")
        writer.endLine()
        writer.append(" b=")
    }

    var bytes: [UInt8] { writer.bytes }

    /// RFC 6376 §3.7: the field itself in relaxed form, b= empty, without a CRLF at its end.
    var canonical: [UInt8] {
        let count = Self.name.utf8CodeUnitCount
        var output: [UInt8] = []
        output.reserveCapacity(bytes.count)
        SignedHeader.appendRelaxed(name: bytes[..<count], value: bytes[(count + 1)...], to: &output)
        return output
    }

    /// Ends the field. RFC 6376 §3.5: b= may be folded anywhere.
    mutating func append(signature: [UInt8]) {
        for byte in Base64.text(signature).utf8 {
            if writer.column == Limits.mailLineBytesWanted {
                writer.endLine()
                writer.append(0x20)
            }
            writer.append(byte)
        }
        writer.endLine()
    }

    private mutating func append(_ tag: String) {
        writer.foldIfNeeded(for: tag.utf8.count + 1)
        writer.append(0x20)
        writer.append(tag)
    }
}
