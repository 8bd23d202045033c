// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

/// A job's name: 63 bits that rise with time, shown as 13 characters of Crockford's base 32.
///
/// From the top: 41 bits of milliseconds since 2020-01-01 UTC, 12 bits of a counter within the millisecond, 10 bits
/// that differ from spool to spool. The text sorts as the number does, and the time of acceptance can be read from it.
package struct JobID: Hashable, Comparable, Sendable, CustomStringConvertible {
    package let raw: Int64

    package init(raw: Int64) { self.raw = raw }

    /// 2020-01-01T00:00:00Z in milliseconds since 1970.
    package static let epoch: Int64 = 1_577_836_800_000
    package static let nodeBits: Int64 = 10
    package static let counterBits: Int64 = 12
    /// What is added to one id to reach the next of the same spool.
    package static let step: Int64 = 1 << nodeBits

    /// The lowest id that a job accepted at `time` may have on spool `node` (0–1023).
    package static func first(at time: WallTime, node: Int64) -> JobID {
        let elapsed = max(0, time.milliseconds - epoch)
        return JobID(raw: (elapsed << (counterBits + nodeBits)) | (node & (step - 1)))
    }

    package func advanced(by count: Int) -> JobID { JobID(raw: raw + Int64(count) * Self.step) }

    /// When the job was accepted, to the millisecond.
    package var time: WallTime {
        WallTime(milliseconds: (raw >> (Self.counterBits + Self.nodeBits)) + Self.epoch)
    }

    package static func < (left: JobID, right: JobID) -> Bool { left.raw < right.raw }

    package static let textLength = 13
    static let alphabet: StaticString = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"

    package var description: String {
        String(unsafeUninitializedCapacity: Self.textLength) { bytes in
            for index in 0..<Self.textLength { bytes[index] = digit(index) }
            return Self.textLength
        }
    }

    /// The ASCII character at `index` (0–12) of the text form.
    package func digit(_ index: Int) -> UInt8 {
        let value = (raw >> Int64(5 * (Self.textLength - 1 - index))) & 31
        return Self.alphabet.utf8Start[Int(value)]
    }

    /// Reads the text form; letters in either case, nothing else before or after.
    package init?(_ text: some StringProtocol) {
        var value: Int64 = 0
        guard text.utf8.count == Self.textLength else { return nil }
        for byte in text.utf8 {
            guard let digit = Self.value(of: byte), value <= Int64.max >> 5 else { return nil }
            value = value << 5 | digit
        }
        self.init(raw: value)
    }

    private static func value(of byte: UInt8) -> Int64? {
        let upper = byte >= 0x61 && byte <= 0x7A ? byte - 32 : byte
        for index in 0..<32 where alphabet.utf8Start[index] == upper { return Int64(index) }
        return nil
    }
}
