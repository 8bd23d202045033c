// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

/// A fast sum over bytes, by which what an accident has changed is known. It protects from accidents, not from people;
/// the number is part of the spool's format, and never changes its meaning.
package enum Checksum {
    /// - Parameter seed: sums of different seeds have nothing to do with each other.
    package static func of(_ bytes: UnsafeRawBufferPointer, seed: UInt64 = 0) -> UInt64 {
        var sum = 0x9E37_79B9_7F4A_7C15 ^ mix(seed ^ UInt64(bytes.count))
        var index = 0
        while index + 8 <= bytes.count {
            sum = mix(sum ^ UInt64(littleEndian: bytes.loadUnaligned(fromByteOffset: index, as: UInt64.self)))
            index += 8
        }
        var rest: UInt64 = 0
        while index < bytes.count {
            rest = rest << 8 | UInt64(bytes[index])
            index += 1
        }
        return mix(sum ^ rest)
    }

    /// The two halves of a full product, folded: every bit of the input reaches every bit of the sum.
    @inline(__always)
    private static func mix(_ value: UInt64) -> UInt64 {
        let product = (value ^ 0x8EBC_6AF0_9C88_C6E3).multipliedFullWidth(by: 0xA076_1D64_78BD_642F)
        return product.high ^ product.low
    }
}
