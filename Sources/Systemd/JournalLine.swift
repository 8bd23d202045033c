// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

/// One line of the log while it is written: a message and fields, appended to bytes that hold many lines.
///
/// A record is its length (UInt32, itself excluded), priority (UInt8), time (Int64, nanoseconds since 1970), then
/// fields, each a length (UInt32) and `NAME=value`. All numbers in host order: records never leave the process.
///
/// A line is some sixty small pieces, which an array takes dearly: they are put down in a draft of a fixed size, which
/// goes to the array as a whole.
package struct JournalLine: ~Copyable {
    /// Whole records; of the one that is being written, what the draft had no room for.
    var bytes: [UInt8] = []
    private let fieldPrefix: [UInt8]
    private let draft: UnsafeMutableRawPointer
    /// Bytes in the draft.
    private var drafted = 0
    private var record = 0
    private var field = -1

    private static let draftBytes = 4096

    init(fieldPrefix: String) {
        self.fieldPrefix = Array(fieldPrefix.utf8)
        draft = .allocate(byteCount: Self.draftBytes, alignment: 8)
    }

    deinit { draft.deallocate() }

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
        field = place
        append(UInt32(0))
        fieldPrefix.withUnsafeBytes { put($0) }
        add(name)
        add(byte: UInt8(ascii: "="))
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
        put(UnsafeRawBufferPointer(start: text.utf8Start, count: text.utf8CodeUnitCount))
    }

    package mutating func add(_ text: String) {
        var text = text
        text.withUTF8 { put(UnsafeRawBufferPointer($0)) }
    }

    package mutating func add(byte: UInt8) {
        makeRoom(for: 1)
        draft.storeBytes(of: byte, toByteOffset: drafted, as: UInt8.self)
        drafted += 1
    }

    package mutating func add(_ number: Int) {
        if number < 0 { add(byte: UInt8(ascii: "-")) }
        addDigits(number.magnitude, atLeast: 1)
    }

    package mutating func add(seconds: Double) {
        let milliseconds = UInt((min(max(0, seconds), 1e12) * 1000).rounded())
        addDigits(milliseconds / 1000, atLeast: 1)
        add(byte: UInt8(ascii: "."))
        addDigits(milliseconds % 1000, atLeast: 3)
    }

    private mutating func addDigits(_ number: UInt, atLeast width: Int) {
        // No number of 64 bits has more than these; from the last to the first.
        withUnsafeTemporaryAllocation(byteCount: 20, alignment: 1) { digits in
            var first = digits.count
            var rest = number
            while rest > 0 || digits.count - first < width {
                first -= 1
                digits[first] = UInt8(ascii: "0") + UInt8(rest % 10)
                rest /= 10
            }
            put(UnsafeRawBufferPointer(rebasing: digits[first...]))
        }
    }

    // MARK: Records

    mutating func beginRecord(_ priority: Priority, nanoseconds: Int64) {
        record = place
        append(UInt32(0))
        add(byte: priority.rawValue)
        append(nanoseconds)
    }

    mutating func endRecord() {
        endField()
        setLength(at: record)
        emptyDraft()
    }

    private mutating func begin(_ name: StaticString) {
        endField()
        field = place
        append(UInt32(0))
        add(name)
    }

    private mutating func endField() {
        if field >= 0 { setLength(at: field) }
        field = -1
    }

    // MARK: The draft

    /// Where the next byte will stand in `bytes`.
    private var place: Int { bytes.count + drafted }

    private mutating func append(_ number: some FixedWidthInteger) { withUnsafeBytes(of: number) { put($0) } }

    private mutating func put(_ piece: UnsafeRawBufferPointer) {
        makeRoom(for: piece.count)
        guard piece.count <= Self.draftBytes else { return bytes.append(contentsOf: piece) }
        if let start = piece.baseAddress { (draft + drafted).copyMemory(from: start, byteCount: piece.count) }
        drafted += piece.count
    }

    private mutating func makeRoom(for count: Int) { if drafted + count > Self.draftBytes { emptyDraft() } }

    private mutating func emptyDraft() {
        bytes.append(contentsOf: UnsafeRawBufferPointer(start: draft, count: drafted))
        drafted = 0
    }

    /// Writes how much has come since into the four bytes at `offset`, which were put down as one piece.
    private mutating func setLength(at offset: Int) {
        let length = UInt32(truncatingIfNeeded: place - offset - 4)
        if offset >= bytes.count {
            draft.storeBytes(of: length, toByteOffset: offset - bytes.count, as: UInt32.self)
        } else {
            bytes.withUnsafeMutableBytes { $0.storeBytes(of: length, toByteOffset: offset, as: UInt32.self) }
        }
    }
}
