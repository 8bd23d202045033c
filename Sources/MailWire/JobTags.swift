// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailJob

/// `tags`: the app's own words for a job, for routes and events.
enum JobTags {
    /// More are a document's keywords, not marks of a job.
    static let countMax = 16
    static let bytesMax = 64

    static func check(_ tags: JSONMember, in line: UnsafeRawBufferPointer) throws(WireError) {
        let wanted =
            "must be a list of at most \(countMax) strings of 1 to \(bytesMax) letters, digits, \"-\", \"_\", \".\""
        guard tags.kind == .array else { throw .invalid("tags", wanted, not: tags.value, in: line) }
        var count = 0
        for element in tags.elements(in: line) {
            count += 1
            guard count <= countMax, let text = element.bytes(in: line), isTag(text) else {
                throw .invalid("tags", wanted, not: element.value, in: line)
            }
        }
    }

    private static func isTag(_ text: [UInt8]) -> Bool {
        (1...bytesMax).contains(text.count) && text.allSatisfy(isWordByte)
    }

    /// Of a tag, and of a queue's name.
    static func isWordByte(_ byte: UInt8) -> Bool {
        switch byte {
        case 0x30...0x39, 0x41...0x5A, 0x61...0x7A, 0x2D, 0x2E, 0x5F: true
        default: false
        }
    }
}
