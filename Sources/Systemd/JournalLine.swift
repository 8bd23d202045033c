// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

/// One line of the log while it is written: a message and fields, appended to bytes that hold many lines.
///
/// A record is its length (UInt32, itself excluded), priority (UInt8), time (Int64, nanoseconds since 1970), then
/// fields, each a length (UInt32) and `NAME=value`. All numbers in host order: records never leave the process.
package struct JournalLine {
    var bytes: [UInt8] = []
    let fieldPrefix: [UInt8]
    private var record = 0
    private var field = -1

    init(fieldPrefix: String) { self.fieldPrefix = Array(fieldPrefix.utf8) }

    /// Begins the text that people read; `add` goes on with it.
    package mutating func message(_ text: StaticString) {
        begin("MESSAGE=")
        add(text)
    }

    package mutating func message(_ text: String) {
        begin("MESSAGE=")
        add(text)
    }

    /// 32 hexadecimal digits that stand for this kind of event in the journal's catalog.
    package mutating func identify(_ id: StaticString) {
        begin("MESSAGE_ID=")
        add(id)
    }

    /// Begins a field; `add` goes on with its value. `name` is in capitals and without the journal's prefix.
    package mutating func field(_ name: StaticString) {
        endField()
        field = bytes.count
        append(UInt32(0))
        bytes.append(contentsOf: fieldPrefix)
        add(name)
        bytes.append(UInt8(ascii: "="))
    }

    package mutating func field(_ name: StaticString, _ value: String) {
        field(name)
        add(value)
    }

    package mutating func field(_ name: StaticString, _ value: Int) {
        field(name)
        add(value)
    }

    /// Seconds to the millisecond.
    package mutating func field(_ name: StaticString, seconds: Double) {
        field(name)
        add(seconds: seconds)
    }

    package mutating func add(_ text: StaticString) {
        text.withUTF8Buffer { bytes.append(contentsOf: $0) }
    }

    package mutating func add(_ text: String) {
        var text = text
        text.withUTF8 { bytes.append(contentsOf: $0) }
    }

    package mutating func add(byte: UInt8) { bytes.append(byte) }

    package mutating func add(_ number: Int) {
        if number < 0 { bytes.append(UInt8(ascii: "-")) }
        addDigits(number.magnitude, atLeast: 1)
    }

    package mutating func add(seconds: Double) {
        let milliseconds = UInt((min(max(0, seconds), 1e12) * 1000).rounded())
        addDigits(milliseconds / 1000, atLeast: 1)
        bytes.append(UInt8(ascii: "."))
        addDigits(milliseconds % 1000, atLeast: 3)
    }

    private mutating func addDigits(_ number: UInt, atLeast width: Int) {
        let start = bytes.count
        var rest = number
        while rest > 0 || bytes.count - start < width {
            bytes.append(UInt8(ascii: "0") + UInt8(rest % 10))
            rest /= 10
        }
        // By hand: a slice that is reversed in its place is copied first.
        var (low, high) = (start, bytes.count - 1)
        while low < high {
            bytes.swapAt(low, high)
            (low, high) = (low + 1, high - 1)
        }
    }

    // MARK: Records

    mutating func beginRecord(_ priority: Priority, nanoseconds: Int64) {
        record = bytes.count
        append(UInt32(0))
        bytes.append(priority.rawValue)
        append(nanoseconds)
    }

    mutating func endRecord() {
        endField()
        setLength(at: record)
    }

    private mutating func begin(_ name: StaticString) {
        endField()
        field = bytes.count
        append(UInt32(0))
        add(name)
    }

    private mutating func endField() {
        if field >= 0 { setLength(at: field) }
        field = -1
    }

    private mutating func append(_ number: some FixedWidthInteger) {
        withUnsafeBytes(of: number) { bytes.append(contentsOf: $0) }
    }

    /// Writes how much has come since into the four bytes at `offset`.
    private mutating func setLength(at offset: Int) {
        let length = UInt32(truncatingIfNeeded: bytes.count - offset - 4)
        bytes.withUnsafeMutableBytes { $0.storeBytes(of: length, toByteOffset: offset, as: UInt32.self) }
    }
}
