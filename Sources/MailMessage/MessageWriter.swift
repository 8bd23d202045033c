// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailJob

/// A message in the making: one growing array that knows where its last line began.
struct MessageWriter {
    private(set) var bytes: [UInt8] = []
    private(set) var lineStart = 0
    var hasUTF8Address = false

    init(capacity: Int) { bytes.reserveCapacity(capacity) }

    /// Octets of the line so far.
    var column: Int { bytes.count - lineStart }

    mutating func append(_ text: StaticString) {
        bytes.append(contentsOf: UnsafeBufferPointer(start: text.utf8Start, count: text.utf8CodeUnitCount))
    }

    mutating func append(_ text: String) { bytes.append(contentsOf: text.utf8) }

    mutating func append(_ octets: some Collection<UInt8>) { bytes.append(contentsOf: octets) }

    mutating func append(_ octet: UInt8) { bytes.append(octet) }

    /// RFC 5322 §2.1: a line ends in CR and LF together, and neither appears otherwise.
    mutating func endLine() {
        bytes.append(0x0D)
        bytes.append(0x0A)
        lineStart = bytes.count
    }

    /// RFC 5322 §2.2.3: a header line may be broken before a blank. The caller writes that blank next.
    mutating func foldIfNeeded(for length: Int) {
        if column + length > Limits.mailLineBytesWanted { endLine() }
    }
}

/// `0–9A–F`, as RFC 2045 §6.7 (1) and RFC 2047 §4.2 want it.
enum Hexadecimal {
    static func high(_ byte: UInt8) -> UInt8 { digit(byte >> 4) }
    static func low(_ byte: UInt8) -> UInt8 { digit(byte & 15) }

    private static func digit(_ value: UInt8) -> UInt8 { value < 10 ? 0x30 + value : 0x37 + value }
}
