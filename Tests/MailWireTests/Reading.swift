// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailJob
import MailWire

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

/// 2026-11-23T12:00:00Z, the time at which all jobs of these tests arrive.
let noon = WallTime(milliseconds: 1_795_435_200_000)

/// The bytes of a text, on the heap and no longer than it: what reads past the end is found by the sanitizer.
func withBytes<Result, Failure: Error>(
    _ bytes: [UInt8], _ body: (UnsafeRawBufferPointer) throws(Failure) -> Result
) throws(Failure) -> Result {
    let copy = UnsafeMutableRawBufferPointer.allocate(byteCount: bytes.count, alignment: 1)
    defer { copy.deallocate() }
    copy.copyBytes(from: bytes)
    return try body(UnsafeRawBufferPointer(copy))
}

func withBytes<Result, Failure: Error>(
    _ text: String, _ body: (UnsafeRawBufferPointer) throws(Failure) -> Result
) throws(Failure) -> Result {
    try withBytes(Array(text.utf8), body)
}

/// What a reader makes of a line at noon.
func read(_ line: String, recipientsMax: Int = Limits.recipientsMax) throws(WireError) -> JobLine {
    var reader = JobReader(schemas: [EmailSchema()], limits: JobLimits(recipientsMax: recipientsMax))
    return try withBytes(line) { (bytes) throws(WireError) in try reader.read(bytes, now: noon) }
}

/// The error that a line gets; nil if it is taken.
func refusal(_ line: String, recipientsMax: Int = Limits.recipientsMax) -> WireError? {
    do throws(WireError) {
        _ = try read(line, recipientsMax: recipientsMax)
        return nil
    } catch {
        return error
    }
}

/// The smallest job with `fields` in it.
func job(_ fields: String) -> String {
    #"{"to":"a@example.com","from":"app@example.org"\#(fields.isEmpty ? "" : ",")\#(fields)}"#
}

/// A file of the project, by its path from the root; empty if it cannot be read.
func projectFile(_ path: String, of testFile: String = #filePath) -> String {
    let root = testFile.split(separator: "/", omittingEmptySubsequences: false).dropLast(3).joined(separator: "/")
    guard let file = fopen("\(root)/\(path)", "r") else { return "" }
    defer { fclose(file) }
    var bytes: [UInt8] = []
    var piece = [UInt8](repeating: 0, count: 1 << 16)
    while true {
        let count = fread(&piece, 1, piece.count, file)
        if count == 0 { return String(decoding: bytes, as: UTF8.self) }
        bytes.append(contentsOf: piece[..<count])
    }
}
