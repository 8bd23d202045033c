// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

/// Judges the field `attachments`.
enum EmailAttachments {
    /// Parts of a message; more is a mistake, and each has its price in memory.
    static let attachmentsMax = 1000
    static let cidBytesMax = 200
    static let contentTypeBytesMax = 900

    static func check(_ member: JSONMember, in line: UnsafeRawBufferPointer) throws(WireError) {
        guard member.kind == .array else { throw .mustBe("a list of objects", "attachments", member, in: line) }
        for (index, element) in member.elements(in: line).enumerated() {
            if index == attachmentsMax { throw .invalid("attachments", "more than \(attachmentsMax)", in: line) }
            try check(element, at: "attachments[\(index)]", in: line)
        }
    }

    private static func check(
        _ attachment: JSONMember, at place: String, in line: UnsafeRawBufferPointer
    ) throws(WireError) {
        guard attachment.kind == .object else { throw .mustBe("an object", place, attachment, in: line) }
        var (hasName, hasData) = (false, false)
        for member in attachment.elements(in: line) {
            if member.hasKey("name", in: line) {
                hasName = true
                try checkName(member, "\(place).name", in: line)
            } else if member.hasKey("data", in: line) {
                hasData = true
                try checkData(member, "\(place).data", in: line)
            } else if member.hasKey("fd", in: line) {
                throw try DescriptorPlace(member, "\(place).fd", in: line).missing()
            } else if member.hasKey("content_type", in: line) {
                try checkContentType(member, "\(place).content_type", in: line)
            } else if member.hasKey("cid", in: line) {
                try checkCID(member, "\(place).cid", in: line)
            } else {
                throw .invalid("\(place).\(WireError.shown(member.key, in: line))", "unknown field", in: line)
            }
        }
        if !hasName { throw .invalid("\(place).name", "missing", in: line) }
        if !hasData { throw .invalid("\(place).data", "missing", in: line) }
    }

    /// A line that has something else in the place of attachments has none.
    static func descriptors(
        _ member: JSONMember, in line: UnsafeRawBufferPointer
    ) throws(WireError) -> [DescriptorPlace] {
        guard member.kind == .array else { return [] }
        var places: [DescriptorPlace] = []
        for (index, element) in member.elements(in: line).enumerated() {
            if index == attachmentsMax || element.kind != .object { break }
            let members = Array(element.elements(in: line))
            guard let member = members.first(where: { isDescriptor($0, in: line) }) else { continue }
            let place = try DescriptorPlace(member, "attachments[\(index)].fd", in: line)
            if members.contains(where: { $0.hasKey("data", in: line) }) {
                throw .invalid(place.field, "excludes data", in: line)
            }
            places.append(place)
        }
        return places
    }

    /// Written without escapes, so that what takes the member's place is never shorter.
    private static func isDescriptor(_ member: JSONMember, in line: UnsafeRawBufferPointer) -> Bool {
        !member.keyEscaped && member.hasKey("fd", in: line)
    }

    private static func checkName(
        _ member: JSONMember, _ field: String, in line: UnsafeRawBufferPointer
    ) throws(WireError) {
        guard let name = member.string(in: line) else { throw .mustBe("a string", field, member, in: line) }
        if name.unicodeScalars.contains(where: { $0.properties.generalCategory == .control }) {
            throw .invalid(field, "has a control character", in: line)
        }
    }

    private static func checkData(
        _ member: JSONMember, _ field: String, in line: UnsafeRawBufferPointer
    ) throws(WireError) {
        guard let text = member.text else { throw .mustBe("a string", field, member, in: line) }
        let isCanonical =
            text.escaped
            ? text.decoded(from: line).withUnsafeBytes { Base64Text.isCanonical($0) }
            : Base64Text.isCanonical(UnsafeRawBufferPointer(rebasing: line[text.range]))
        if !isCanonical { throw .mustBe("base64 with its padding and nothing else", field, member, in: line) }
    }

    /// RFC 2045 §5.1 without comments. §6.4: a multipart may not be encoded, so it cannot be attached as base64.
    private static func checkContentType(
        _ member: JSONMember, _ field: String, in line: UnsafeRawBufferPointer
    ) throws(WireError) {
        guard let type = member.bytes(in: line) else { throw .mustBe("a string", field, member, in: line) }
        var rest = MediaTypeReader(rest: type[...])
        guard type.count <= contentTypeBytesMax, rest.isMediaType() else {
            throw .mustBe("of the form type/subtype; name=value", field, member, in: line)
        }
        if String(decoding: type, as: UTF8.self).lowercased().hasPrefix("multipart/") {
            throw .invalid(field, "may not be a multipart", in: line)
        }
    }

    /// RFC 2392 §2: goes between angle brackets in Content-ID.
    private static func checkCID(
        _ member: JSONMember, _ field: String, in line: UnsafeRawBufferPointer
    ) throws(WireError) {
        guard let cid = member.bytes(in: line) else { throw .mustBe("a string", field, member, in: line) }
        let isPrintable = cid.allSatisfy { $0 > 0x20 && $0 < 0x7F && $0 != 0x3C && $0 != 0x3E }
        guard isPrintable, 1...cidBytesMax ~= cid.count else {
            let what = "1 to \(cidBytesMax) printable ASCII characters without blanks or <>"
            throw .mustBe(what, field, member, in: line)
        }
    }
}

private struct MediaTypeReader {
    var rest: ArraySlice<UInt8>

    mutating func isMediaType() -> Bool {
        guard token(), rest.popFirst() == UInt8(ascii: "/"), token() else { return false }
        while !rest.isEmpty {
            skipBlanks()
            guard rest.popFirst() == UInt8(ascii: ";") else { return false }
            skipBlanks()
            guard token(), rest.popFirst() == UInt8(ascii: "="), value() else { return false }
        }
        return true
    }

    private mutating func skipBlanks() { rest = rest.drop { $0 == 0x20 } }

    /// RFC 2045 §5.1: printable ASCII but tspecials.
    private mutating func token() -> Bool {
        let begin = rest.startIndex
        rest = rest.drop { byte in
            switch byte {
            case 0x22, 0x28, 0x29, 0x2C, 0x2F, 0x3A...0x40, 0x5B...0x5D: false
            default: byte > 0x20 && byte < 0x7F
            }
        }
        return rest.startIndex > begin
    }

    private mutating func value() -> Bool {
        guard rest.first == 0x22 else { return token() }
        rest.removeFirst()
        while let byte = rest.popFirst() {
            if byte == 0x22 { return true }
            let isQuotable = byte != 0x5C || rest.popFirst().map { $0 >= 0x20 && $0 < 0x7F } ?? false
            guard byte >= 0x20, byte < 0x7F, isQuotable else { return false }
        }
        return false
    }
}
