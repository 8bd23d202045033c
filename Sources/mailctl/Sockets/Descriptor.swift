// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

/// Reading and writing whole files and pipes.
enum Descriptor {
    static let pieceBytes = 64 << 10

    /// 0, or the errno that ended it.
    static func writeAll(_ descriptor: Int32, _ bytes: [UInt8]) -> Int32 {
        bytes.withUnsafeBytes { all in
            var done = 0
            while done < all.count {
                let rest = UnsafeRawBufferPointer(rebasing: all[done...])
                let count = write(descriptor, rest.baseAddress, rest.count)
                if count >= 0 {
                    done += count
                } else if errno == EAGAIN {
                    waitUntilReady(descriptor, POLLOUT)
                } else if errno != EINTR {
                    return errno
                }
            }
            return 0
        }
    }

    enum Piece: Equatable {
        case bytes(Int)
        case end
        case failed(Int32)
    }

    /// Appends what one read gives; waits for it where there is nothing yet.
    static func readPiece(_ descriptor: Int32, into bytes: inout [UInt8], atMost room: Int = pieceBytes) -> Piece {
        while true {
            var code: Int32 = 0
            let count = withUnsafeTemporaryAllocation(byteCount: room, alignment: 1) { piece in
                let count = read(descriptor, piece.baseAddress, piece.count)
                code = errno
                if count > 0 { bytes.append(contentsOf: piece[..<count]) }
                return count
            }
            if count > 0 { return .bytes(count) }
            if count == 0 { return .end }
            if code == EAGAIN {
                waitUntilReady(descriptor, POLLIN)
            } else if code != EINTR {
                return .failed(code)
            }
        }
    }

    /// Reads to the end; nil where that is further than `bytesMax`.
    static func readAll(_ descriptor: Int32, _ name: String, atMost bytesMax: Int) throws(Failure) -> [UInt8]? {
        var bytes: [UInt8] = []
        while bytes.count <= bytesMax {
            switch readPiece(descriptor, into: &bytes) {
            case .bytes: continue
            case .end: return bytes
            case .failed(let code): throw .system(.inputOutput, name, code)
            }
        }
        return nil
    }

    static func opened(reading path: String) throws(Failure) -> Int32 {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { throw .system(.noInput, Printable.text(path), errno) }
        return descriptor
    }

    /// A file that was not there before, for its owner alone.
    static func created(_ path: String) throws(Failure) -> Int32 {
        let descriptor = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { throw .system(.inputOutput, Printable.text(path), errno) }
        return descriptor
    }

    private static func waitUntilReady(_ descriptor: Int32, _ events: Int32) {
        var interest = pollfd(fd: descriptor, events: Int16(events), revents: 0)
        poll(&interest, 1, -1)
    }
}
