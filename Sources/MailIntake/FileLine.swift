// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import Glibc
import MailJob
import MailWire
import NIOCore
import Synchronization

/// A line some of whose attachments came as descriptors: made into one that has them as base64, like any other.
///
/// Handed over, never shared: from its conversation to a thread that may wait for a disk, and back.
final class FileLine: @unchecked Sendable {
    /// Without its newline.
    private(set) var bytes: ByteBuffer
    /// Why it cannot be; it carries the line's ref.
    private(set) var error: WireError?
    /// What its bytes hold of the reading budget.
    var share: ReadingShare?
    private let places: [DescriptorPlace]
    private let ref: [UInt8]?
    private var files: [PassedDescriptor]

    /// Who has it: nobody who reads it yet, the thread that does, or nobody any more.
    private static let (waits, isRead, isAbandoned) = (0, 1, 2)
    private let stage = Atomic<Int>(waits)

    /// - Parameter files: at least as many as the places name.
    init(_ bytes: ByteBuffer, _ found: DescriptorPlaces, _ files: [PassedDescriptor]) {
        self.bytes = bytes
        self.files = files
        places = found.places
        ref = found.ref
    }

    /// Nobody wants it any more: what it holds is let go of, unless a thread has begun with it. For that may wait for
    /// another file of the user, and for ever.
    func abandon() {
        guard pass(to: Self.isAbandoned) else { return }
        files = []
        share = nil
    }

    private func pass(to next: Int) -> Bool {
        stage.compareExchange(expected: Self.waits, desired: next, ordering: .acquiringAndReleasing).exchanged
    }

    /// Blocks.
    func fill(bytesMax: Int) {
        guard pass(to: Self.isRead) else { return }
        do throws(WireError) {
            let sizes = try sizes(bytesMax: bytesMax)
            let holes = makeRoom(sizes)
            for index in places.indices { try read(places[index], sizes[index], into: holes[index]) }
        } catch {
            self.error = error
            self.error?.ref = ref
            bytes = ByteBuffer()
        }
        files = []
    }

    // MARK: How much there is

    private func sizes(bytesMax: Int) throws(WireError) -> [Int] {
        var length = bytes.readableBytes
        var sizes: [Int] = []
        for place in places {
            let size = try size(place)
            // Compared first, for a sparse file may be of any size.
            let isShort = size <= bytesMax
            length += isShort ? Base64Text.length(of: size) + 2 : 0
            guard isShort, length <= bytesMax else {
                let message = "with this file the line is longer than limits.line_bytes_max, \(bytesMax) bytes"
                throw WireError(.lineTooLong, "\(place.field): \(message)", field: place.field)
            }
            sizes.append(size)
        }
        return sizes
    }

    private func size(_ place: DescriptorPlace) throws(WireError) -> Int {
        let number = files[place.number].number
        var status = stat()
        guard fstat(number, &status) == 0 else { throw unreadable(place, errno) }
        guard status.st_mode & S_IFMT == S_IFREG else {
            throw wrong(place, "must be a regular file or a memfd, not \(Self.kind(status.st_mode))")
        }
        // What is made as it is read, as in /proc, has no size.
        var byte: UInt8 = 0
        guard status.st_size > 0 || pread(number, &byte, 1, 0) <= 0 else {
            throw wrong(place, "the file does not say its size")
        }
        return status.st_size
    }

    private static func kind(_ mode: mode_t) -> String {
        switch mode & S_IFMT {
        case S_IFIFO: "a pipe"
        case S_IFSOCK: "a socket"
        case S_IFDIR: "a directory"
        case S_IFCHR, S_IFBLK: "a device"
        default: "something that has no size"
        }
    }

    // MARK: Room in the line

    /// Moves what stands between the places apart, from the right to the left. What takes a key's and a value's place
    /// is never shorter, so nothing is overwritten that is still to be moved.
    /// - Returns: where each file's base64 goes.
    private func makeRoom(_ sizes: [Int]) -> [Range<Int>] {
        let quoted = sizes.map { Base64Text.length(of: $0) + 2 }
        let key = DescriptorPlace.filledKey
        let length = zip(places, quoted).reduce(bytes.readableBytes) { length, each in
            length + key.utf8CodeUnitCount - each.0.key.count + each.1 - each.0.value.count
        }
        var source = bytes.readableBytes
        bytes.reserveCapacity(bytes.readerIndex + length)
        bytes.moveWriterIndex(forwardBy: length - source)
        return bytes.withUnsafeMutableReadableBytes { line in
            var target = length
            var holes: [Range<Int>] = []
            func move(_ range: Range<Int>) {
                target -= range.count
                line.move(range, to: target)
            }
            for (place, count) in zip(places, quoted).reversed() {
                move(place.value.upperBound..<source)
                target -= count
                (line[target], line[target + count - 1]) = (0x22, 0x22)
                holes.append(target + 1..<target + count - 1)
                move(place.key.upperBound..<place.value.lowerBound)
                target -= key.utf8CodeUnitCount
                for index in 0..<key.utf8CodeUnitCount { line[target + index] = key.utf8Start[index] }
                source = place.key.lowerBound
            }
            return holes.reversed()
        }
    }

    // MARK: Reading

    /// A multiple of 3, so that pieces of base64 follow each other without padding.
    private static let pieceBytes = 48 << 10

    private func read(_ place: DescriptorPlace, _ size: Int, into hole: Range<Int>) throws(WireError) {
        let number = files[place.number].number
        let code = bytes.withUnsafeMutableReadableBytes { line in
            let text = UnsafeMutableRawBufferPointer(rebasing: line[hole])
            return withUnsafeTemporaryAllocation(byteCount: Self.pieceBytes, alignment: 16) { piece in
                for begin in stride(from: 0, to: size, by: Self.pieceBytes) {
                    let part = UnsafeMutableRawBufferPointer(rebasing: piece[..<min(Self.pieceBytes, size - begin)])
                    let code = Self.read(number, from: begin, part)
                    guard code == 0 else { return code }
                    let place = begin / 3 * 4
                    let digits = UnsafeMutableRawBufferPointer(
                        rebasing: text[place..<place + Base64Text.length(of: part.count)])
                    Base64Text.encode(UnsafeRawBufferPointer(part), into: digits)
                }
                return 0
            }
        }
        switch code {
        case 0: return
        case Self.tooShort: throw wrong(place, "the file became shorter while it was read")
        default: throw unreadable(place, code)
        }
    }

    /// No errno.
    private static let tooShort: CInt = -1

    /// Where its owner has put the file's offset does not matter, and is left alone.
    /// - Returns: 0, `tooShort` or an errno.
    private static func read(_ number: CInt, from begin: Int, _ piece: UnsafeMutableRawBufferPointer) -> CInt {
        var done = 0
        while done < piece.count {
            let rest = UnsafeMutableRawBufferPointer(rebasing: piece[done...])
            let count = pread(number, rest.baseAddress, rest.count, off_t(begin + done))
            if count == 0 { return tooShort }
            if count < 0, errno != EINTR { return errno }
            done += max(0, count)
        }
        return 0
    }

    private func unreadable(_ place: DescriptorPlace, _ code: CInt) -> WireError {
        // EBADF: the descriptor is there, but open for writing alone, or for nothing (O_PATH).
        if code == EBADF { return wrong(place, "must be open for reading") }
        return wrong(place, "cannot be read: \(String(cString: strerror(code)))")
    }

    private func wrong(_ place: DescriptorPlace, _ reason: String) -> WireError {
        WireError(.invalidJob, "\(place.field): \(reason)", field: place.field)
    }
}

extension UnsafeMutableRawBufferPointer {
    /// Both places lie within; they may overlap.
    fileprivate func move(_ range: Range<Int>, to place: Int) {
        precondition(range.upperBound <= count && place >= 0 && place + range.count <= count)
        guard let baseAddress, !range.isEmpty else { return }
        memmove(baseAddress + place, baseAddress + range.lowerBound, range.count)
    }
}
