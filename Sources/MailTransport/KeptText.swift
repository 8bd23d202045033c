// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailJob

/// What a server answers or a program writes, as one line for people: invalid UTF-8 repaired, control characters and
/// runs of blanks made one blank, no longer than it may be.
package enum KeptText {
    package enum Part: Sendable { case beginning, end }

    /// - Parameter part: what is kept where it is too long; an ellipsis stands for the rest.
    package static func line(
        _ bytes: some Collection<UInt8>, keeping part: Part, bytesMax: Int = Limits.keptTextBytesMax
    ) -> String {
        var scalars: [Unicode.Scalar] = []
        for scalar in String(decoding: bytes, as: UTF8.self).unicodeScalars {
            let isBlank = scalar.properties.generalCategory == .control || scalar.properties.isWhitespace
            if !isBlank {
                scalars.append(scalar)
            } else if let last = scalars.last, last != " " {
                scalars.append(" ")
            }
        }
        if scalars.last == " " { scalars.removeLast() }
        return cut(scalars, part, bytesMax)
    }

    private static func cut(_ scalars: [Unicode.Scalar], _ part: Part, _ bytesMax: Int) -> String {
        var room = bytesMax
        var kept = 0
        let order = part == .beginning ? AnySequence(scalars) : AnySequence(scalars.reversed())
        for scalar in order {
            room -= UTF8.width(scalar)
            if room < 0 { break }
            kept += 1
        }
        let text = part == .beginning ? scalars.prefix(kept) : scalars.suffix(kept)
        let line = String(String.UnicodeScalarView(text))
        if kept == scalars.count { return line }
        return part == .beginning ? "\(line)…" : "…\(line)"
    }
}
