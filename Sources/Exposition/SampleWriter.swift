// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

/// Writes the lines of the text format.
package struct SampleWriter: ~Copyable {
    private(set) var bytes: [UInt8]
    let format: TextFormat

    init(_ format: TextFormat, appendingTo bytes: consuming [UInt8]) {
        self.format = format
        self.bytes = bytes
    }

    consuming func finish() -> [UInt8] {
        if format == .openMetrics { bytes.append(contentsOf: "# EOF\n".utf8) }
        return bytes
    }

    mutating func head(name: String, help: String, type: MetricType) {
        // In OpenMetrics `_total` belongs to the sample and not to the family.
        let isShort = format == .openMetrics && type == .counter && name.hasSuffix("_total")
        let name = isShort ? String(name.dropLast("_total".count)) : name
        bytes.append(contentsOf: "# HELP ".utf8)
        bytes.append(contentsOf: name.utf8)
        bytes.append(UInt8(ascii: " "))
        Self.append(help, to: &bytes, quotes: format == .openMetrics)
        bytes.append(contentsOf: "\n# TYPE ".utf8)
        bytes.append(contentsOf: name.utf8)
        bytes.append(UInt8(ascii: " "))
        bytes.append(contentsOf: type.rawValue.utf8)
        bytes.append(UInt8(ascii: "\n"))
    }

    /// `labels` and `bucket` are pairs as `pair` makes them, empty for none.
    mutating func sample(
        _ name: String, suffix: StaticString = "", labels: [UInt8], bucket: [UInt8] = [], _ value: Double
    ) {
        bytes.append(contentsOf: name.utf8)
        suffix.withUTF8Buffer { bytes.append(contentsOf: $0) }
        if !labels.isEmpty || !bucket.isEmpty {
            bytes.append(UInt8(ascii: "{"))
            bytes.append(contentsOf: labels)
            if !labels.isEmpty && !bucket.isEmpty { bytes.append(UInt8(ascii: ",")) }
            bytes.append(contentsOf: bucket)
            bytes.append(UInt8(ascii: "}"))
        }
        bytes.append(UInt8(ascii: " "))
        Self.append(value, to: &bytes)
        bytes.append(UInt8(ascii: "\n"))
    }

    /// `name="value"`, pairs joined by commas.
    static func pairs(_ names: [String], _ values: [String]) -> [UInt8] {
        var bytes: [UInt8] = []
        for (name, value) in zip(names, values) {
            if !bytes.isEmpty { bytes.append(UInt8(ascii: ",")) }
            bytes.append(contentsOf: name.utf8)
            bytes.append(contentsOf: "=\"".utf8)
            append(value, to: &bytes, quotes: true)
            bytes.append(UInt8(ascii: "\""))
        }
        return bytes
    }

    /// Both formats escape backslash and line feed everywhere and the quotation mark in label values, OpenMetrics the
    /// quotation mark of the help as well.
    private static func append(_ text: String, to bytes: inout [UInt8], quotes: Bool) {
        for byte in text.utf8 {
            switch byte {
            case UInt8(ascii: "\\"): bytes.append(contentsOf: "\\\\".utf8)
            case UInt8(ascii: "\n"): bytes.append(contentsOf: "\\n".utf8)
            case UInt8(ascii: "\"") where quotes: bytes.append(contentsOf: "\\\"".utf8)
            default: bytes.append(byte)
            }
        }
    }

    /// Whole numbers without a fraction, others in the fewest digits that read back as the same number.
    static func append(_ value: Double, to bytes: inout [UInt8]) {
        if let whole = Int64(exactly: value), whole.magnitude < 1 << 53 {
            bytes.append(contentsOf: String(whole).utf8)
        } else if value.isFinite {
            bytes.append(contentsOf: value.description.utf8)
        } else {
            bytes.append(contentsOf: (value.isNaN ? "NaN" : value > 0 ? "+Inf" : "-Inf").utf8)
        }
    }
}
