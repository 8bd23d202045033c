// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

/// Why a line was refused, by the names of docs/protocol.md § Answers. They are stable: programs compare them.
package enum WireErrorName: String, CaseIterable, Sendable {
    case parseError = "parse_error"
    case lineTooLong = "line_too_long"
    case invalidJob = "invalid_job"
    case unknownType = "unknown_type"
    case conflict = "conflict"
    case quotaExceeded = "quota_exceeded"
    case queueFull = "queue_full"
    case readOnly = "read_only"
    case draining = "draining"
    case timeout = "timeout"
    case `internal` = "internal"

    /// Whether the same line may be taken another time.
    package var retryable: Bool {
        switch self {
        case .quotaExceeded, .queueFull, .readOnly, .draining, .timeout: true
        case .parseError, .lineTooLong, .invalidJob, .unknownType, .conflict, .internal: false
        }
    }

    /// With what mailctl exits (sysexits.h): 65 EX_DATAERR, 70 EX_SOFTWARE, 75 EX_TEMPFAIL.
    package var exitCode: Int32 {
        switch self {
        case .parseError, .lineTooLong, .invalidJob, .unknownType, .conflict: 65
        case .quotaExceeded, .queueFull, .readOnly, .draining, .timeout: 75
        case .internal: 70
        }
    }
}

/// The answer to a line that was refused.
package struct WireError: Error, Equatable, Sendable {
    package var name: WireErrorName
    /// For people.
    package var message: String
    /// Which field is to blame: `priority`, `headers.X-Foo`, `attachments[0].data`.
    package var field: String?
    /// The name's own but for `internal`, where our bug may pass.
    package var retryable: Bool
    /// Seconds, where waiting helps.
    package var retryAfter: Int?
    /// The job's ref as it stood in the line: a JSON string with its quotes.
    package var ref: [UInt8]?

    package init(
        _ name: WireErrorName, _ message: String, field: String? = nil, retryable: Bool? = nil,
        retryAfter: Int? = nil, ref: [UInt8]? = nil
    ) {
        self.name = name
        self.message = message
        self.field = field
        self.retryable = retryable ?? name.retryable
        self.retryAfter = retryAfter
        self.ref = ref
    }

    /// A line that is not JSON: `byte 17: expected a colon`.
    package init(_ fault: JSONError) {
        self.init(.parseError, "byte \(fault.offset): \(fault.reason)")
    }

    /// An answer line with its newline.
    package func write(to sink: inout some ByteSink) {
        sink.put("{\"error\":")
        sink.putJSON(name.rawValue)
        sink.put(",\"message\":")
        sink.putJSON(message)
        if let field {
            sink.put(",\"field\":")
            sink.putJSON(field)
        }
        sink.put(retryable ? ",\"retryable\":true" : ",\"retryable\":false")
        if let retryAfter {
            sink.put(",\"retry_after\":")
            sink.putJSON(retryAfter)
        }
        if let ref {
            sink.put(",\"ref\":")
            ref.withUnsafeBytes { sink.put($0) }
        }
        sink.put("}\n")
    }

    /// Reads an answer, for mailctl; nil if it is no error, or one of a maild with other names.
    package init?(answer: JSONValue) {
        guard let name = answer["error"]?.string.flatMap(WireErrorName.init(rawValue:)) else { return nil }
        self.init(
            name, answer["message"]?.string ?? "", field: answer["field"]?.string,
            retryable: answer["retryable"]?.bool, retryAfter: answer["retry_after"]?.int,
            ref: answer["ref"].map { Array($0.text.utf8) })
    }
}

extension WireError {
    package static let shownCharactersMax = 80

    /// `priority: must be an integer from 0 to 9, not "high"`; the offending value as JSON, shortened.
    package static func invalid(
        _ field: String, _ reason: String, not value: Range<Int>? = nil, in line: UnsafeRawBufferPointer
    ) -> WireError {
        guard let value else { return WireError(.invalidJob, "\(field): \(reason)", field: field) }
        return WireError(.invalidJob, "\(field): \(reason), not \(shown(value, in: line))", field: field)
    }

    /// At most 80 characters of what stands in the line.
    package static func shown(_ range: Range<Int>, in line: UnsafeRawBufferPointer) -> String {
        let start = line[range].prefix(4 * (shownCharactersMax + 1))
        let text = String(decoding: start, as: UTF8.self)
        let isWhole = start.count == range.count && text.unicodeScalars.count <= shownCharactersMax
        if isWhole { return text }
        return String(String.UnicodeScalarView(text.unicodeScalars.prefix(shownCharactersMax))) + "…"
    }
}
