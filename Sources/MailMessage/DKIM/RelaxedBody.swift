// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

/// The "relaxed" form of a body (RFC 6376 §3.4.4): one blank for several, none at a line's end, no empty lines at the
/// end of all.
package enum RelaxedBody {
    /// Hands the form over in pieces of the body itself wherever it does not differ, so that nothing is copied.
    ///
    /// All lines of `body` end in CRLF; neither of the two stands alone.
    package static func write(_ body: UnsafeRawBufferPointer, to take: (UnsafeRawBufferPointer) -> Void) {
        guard let last = body.lastIndex(where: { !isBlank($0) && $0 != 0x0D && $0 != 0x0A }) else { return }
        var start = 0
        var index = 0
        while index <= last {
            guard isBlank(body[index]) else {
                index += 1
                continue
            }
            var end = index + 1
            while isBlank(body[end]) { end += 1 }
            let endsLine = body[end] == 0x0D
            if endsLine || end - index > 1 || body[index] != 0x20 {
                take(UnsafeRawBufferPointer(rebasing: body[start..<index]))
                if !endsLine { withUnsafeBytes(of: UInt8(0x20), take) }
                start = end
            }
            index = end
        }
        take(UnsafeRawBufferPointer(rebasing: body[start...last]))
        withUnsafeBytes(of: (UInt8(0x0D), UInt8(0x0A)), take)
    }

    private static func isBlank(_ byte: UInt8) -> Bool { byte == 0x20 || byte == 0x09 }
}
