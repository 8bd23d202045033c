// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

/// A password or a token. Whatever prints, dumps or mirrors it shows that there is one and nothing of it.
package struct Secret: Equatable, Sendable, CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
    /// For the server alone.
    package let bytes: [UInt8]

    package init(_ bytes: [UInt8]) { self.bytes = bytes }
    package init(_ text: String) { bytes = Array(text.utf8) }

    package var description: String { "(secret)" }
    package var debugDescription: String { "(secret)" }
    package var customMirror: Mirror { Mirror(self, children: []) }

    /// Printable ASCII without spaces, as a token must be (RFC 6750 §2.1).
    package var isVisible: Bool { !bytes.isEmpty && bytes.allSatisfy { $0 > 0x20 && $0 < 0x7F } }
    package var isASCII: Bool { bytes.allSatisfy { $0 >= 0x20 && $0 < 0x7F } }
}
