// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

/// Where a line names a descriptor that came beside it: docs/protocol.md § Files by descriptor.
package struct DescriptorPlace: Equatable, Sendable {
    /// `attachments[0].fd`.
    package let field: String
    /// Which of those that came with the line, from 0.
    package let number: Int
    /// The member's key with its quotes, and its value, in the line.
    package let key: Range<Int>
    package let value: Range<Int>

    /// What takes the key's place once the data is there.
    package static let filledKey: StaticString = "\"data\""
    /// More have no sense where a message passes 253 (SCM_MAX_FD); with three digits a number is no longer than what
    /// takes its place may be short.
    static let numberMax = 999

    /// - Parameter member: `fd`, of the attachment at `field`.
    init(_ member: JSONMember, _ field: String, in line: UnsafeRawBufferPointer) throws(WireError) {
        guard let number = member.integer(in: line), 0...Int64(Self.numberMax) ~= number else {
            let reason = "must be the number of a descriptor that came with the line, from 0"
            throw .invalid(field, reason, not: member.value, in: line)
        }
        self.field = field
        self.number = Int(number)
        key = member.key.lowerBound - 1..<member.key.upperBound + 1
        value = member.value
    }

    /// - Parameter isCut: some came that maild could not take.
    package func missing(isCut: Bool = false, ref: [UInt8]? = nil) -> WireError {
        let message = "\(field): no descriptor \(number) came with the line"
        guard isCut else { return WireError(.invalidJob, message, field: field, ref: ref) }
        let full = "\(field): maild has as many descriptors open as it may"
        return WireError(.quotaExceeded, full, field: field, retryAfter: 1, ref: ref)
    }
}

/// A line that names descriptors, with its ref for whatever is wrong with them.
package struct DescriptorPlaces: Equatable, Sendable {
    package var places: [DescriptorPlace] = []
    package var ref: [UInt8]?

    package init() {}
}
