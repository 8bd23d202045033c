// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailWire

/// The JSON of a job made from flags. What the values mean, and whether they are good, is maild's to say.
package struct JobDraft {
    package var lists: [(key: String, values: [String])] = []
    package var texts: [(key: String, value: String?)] = []
    package var integers: [(key: String, value: Int?)] = []
    package var wantsBounce = false
    package var delaySeconds: Double?
    /// As in `Name: value`.
    package var headerFields: [String] = []
    package var attachments: [(name: String, content: Content)] = []

    package enum Content {
        case bytes([UInt8])
        /// Which of the descriptors that go with the line.
        case passed(Int)
    }

    package init() {}

    package var json: JSONValue {
        var job = JSONObject()
        for (key, value) in texts where value != nil { job[key] = JSONValue(value) }
        for (key, values) in lists where !values.isEmpty { job[key] = .array(values.map(JSONValue.string)) }
        for (key, value) in integers { job[key] = value.map { JSONValue($0) } }
        if wantsBounce { job["bounce"] = true }
        if let delaySeconds {
            job["delay"] = Int64(exactly: delaySeconds).map(JSONValue.integer) ?? .number(delaySeconds)
        }
        if !headerFields.isEmpty { job["headers"] = .object(headers) }
        if !attachments.isEmpty { job["attachments"] = .array(attachments.map(Self.attachment)) }
        return .object(job)
    }

    private var headers: JSONObject {
        headerFields.reduce(into: JSONObject()) { headers, field in
            if let (name, value) = Self.headerField(field) { headers[name] = .string(value) }
        }
    }

    private static func attachment(_ name: String, _ content: Content) -> JSONValue {
        let type = ContentType.of(fileName: name)
        switch content {
        case .bytes(let bytes):
            return ["name": .string(name), "content_type": .string(type), "data": .string(Base64.encoded(bytes))]
        case .passed(let number):
            return ["name": .string(name), "content_type": .string(type), "fd": JSONValue(number)]
        }
    }

    /// Name and value of `Name: value`, without the white space between; nil if it is not of that form.
    package static func headerField(_ field: String) -> (name: String, value: String)? {
        guard let colon = field.firstIndex(of: ":"), colon != field.startIndex else { return nil }
        let value = field[field.index(after: colon)...].drop { $0 == " " || $0 == "\t" }
        return (String(field[..<colon]), String(value))
    }
}
