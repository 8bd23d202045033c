// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import Glibc

/// Lines for people, on standard error where it is not journald's:
/// `2026-11-23T10:20:30.123Z notice: message key=value …`, one line each whatever the values hold.
package struct PlainText: JournalSink {
    private let descriptor: CInt
    private let fieldPrefix: [UInt8]

    package init(descriptor: CInt, fieldPrefix: String) {
        self.descriptor = descriptor
        self.fieldPrefix = Array(fieldPrefix.utf8)
    }

    package func write(_ records: UnsafeRawBufferPointer) {
        var text: [UInt8] = []
        text.reserveCapacity(records.count + records.count / 4)
        JournalRecord.forEach(records) { format($0, into: &text) }
        text.withUnsafeBytes { writeAll($0) }
    }

    /// Appends the line with its newline. MESSAGE_ID and other fields of the journal's own are left out.
    package func format(_ record: JournalRecord, into text: inout [UInt8]) {
        Self.append(time: record.nanoseconds, to: &text)
        text.append(UInt8(ascii: " "))
        text.append(contentsOf: record.priority.name.utf8)
        text.append(UInt8(ascii: ":"))
        record.forEachField { append(field: $0, to: &text) }
        text.append(UInt8(ascii: "\n"))
    }

    private static let message = Array("MESSAGE=".utf8)

    private func append(field: UnsafeRawBufferPointer, to text: inout [UInt8]) {
        if field.starts(with: Self.message) {
            text.append(UInt8(ascii: " "))
            Self.append(Self.part(field, from: Self.message.count), escapedInto: &text)
        } else if field.starts(with: fieldPrefix), let equals = field.firstIndex(of: UInt8(ascii: "=")) {
            guard !field.starts(with: "MESSAGE_ID=".utf8) else { return }
            text.append(UInt8(ascii: " "))
            for byte in field[fieldPrefix.count..<equals] {
                text.append(byte >= 0x41 && byte <= 0x5A ? byte + 32 : byte)
            }
            text.append(UInt8(ascii: "="))
            Self.append(value: Self.part(field, from: equals + 1), to: &text)
        }
    }

    private static func part(_ bytes: UnsafeRawBufferPointer, from start: Int) -> UnsafeRawBufferPointer {
        UnsafeRawBufferPointer(rebasing: bytes[start...])
    }

    private static func append(value: UnsafeRawBufferPointer, to text: inout [UInt8]) {
        let plain = !value.isEmpty && value.allSatisfy { $0 > 0x20 && $0 != UInt8(ascii: "\"") && $0 != 0x7F }
        if plain {
            text.append(contentsOf: value)
        } else {
            text.append(UInt8(ascii: "\""))
            append(value, escapedInto: &text, quoted: true)
            text.append(UInt8(ascii: "\""))
        }
    }

    /// Control characters are written as `\n`, `\r`, `\t` or `\x1B`: no value can begin a line of its own or steer a
    /// terminal.
    private static func append(
        _ bytes: UnsafeRawBufferPointer, escapedInto text: inout [UInt8], quoted: Bool = false
    ) {
        // Nearly every text is written as it is.
        guard quoted || !bytes.allSatisfy({ $0 >= 0x20 && $0 != 0x7F }) else { return text.append(contentsOf: bytes) }
        for byte in bytes {
            switch byte {
            case 0x0A: text.append(contentsOf: "\\n".utf8)
            case 0x0D: text.append(contentsOf: "\\r".utf8)
            case 0x09: text.append(contentsOf: "\\t".utf8)
            case 0..<0x20, 0x7F:
                text.append(contentsOf: "\\x".utf8)
                text.append(hexadecimal(byte >> 4))
                text.append(hexadecimal(byte & 15))
            case UInt8(ascii: "\"") where quoted, UInt8(ascii: "\\") where quoted:
                text.append(UInt8(ascii: "\\"))
                text.append(byte)
            default: text.append(byte)
            }
        }
    }

    private static func hexadecimal(_ nibble: UInt8) -> UInt8 {
        nibble < 10 ? UInt8(ascii: "0") + nibble : UInt8(ascii: "A") + nibble - 10
    }

    /// RFC 3339 in UTC, to the millisecond.
    package static func append(time nanoseconds: Int64, to text: inout [UInt8]) {
        var seconds = time_t(nanoseconds / 1_000_000_000)
        var parts = tm()
        gmtime_r(&seconds, &parts)
        let numbers: [(value: Int, width: Int, after: StaticString)] = [
            (Int(parts.tm_year) + 1900, 4, "-"), (Int(parts.tm_mon) + 1, 2, "-"), (Int(parts.tm_mday), 2, "T"),
            (Int(parts.tm_hour), 2, ":"), (Int(parts.tm_min), 2, ":"), (Int(parts.tm_sec), 2, "."),
            (Int(nanoseconds / 1_000_000 % 1000), 3, "Z"),
        ]
        for number in numbers {
            var divisor = number.width == 4 ? 1000 : number.width == 3 ? 100 : 10
            while divisor > 0 {
                text.append(UInt8(ascii: "0") + UInt8(truncatingIfNeeded: number.value / divisor % 10))
                divisor /= 10
            }
            number.after.withUTF8Buffer { text.append(contentsOf: $0) }
        }
    }

    private func writeAll(_ bytes: UnsafeRawBufferPointer) {
        var rest = bytes[...]
        while !rest.isEmpty {
            let count = Glibc.write(descriptor, UnsafeRawBufferPointer(rebasing: rest).baseAddress, rest.count)
            if count > 0 {
                rest = rest.dropFirst(count)
            } else if errno == EAGAIN {
                var wait = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
                poll(&wait, 1, -1)
            } else if errno != EINTR {
                // Whoever read our standard error is gone; the daemon works on without.
                return
            }
        }
    }
}
