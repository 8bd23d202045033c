// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

/// A client's own name for a submission, by which a repeat is known. Its scope is the submitting user and the kind.
package struct IdempotencyKey: Hashable, Sendable {
    /// At most `Limits.keyBytesMax` bytes of UTF-8.
    package var name: [UInt8]
    /// Of the submission's meaning, `Digest.bytes` long: another body under the same name is a conflict.
    package var digest: [UInt8]

    package init(name: [UInt8], digest: [UInt8]) {
        self.name = name
        self.digest = digest
    }
}
