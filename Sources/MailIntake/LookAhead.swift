// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import Glibc
import NIOCore

/// Takes the descriptors that come with a connection's bytes (unix(7), SCM_RIGHTS), which NIO's `read(2)` would lose.
///
/// NIO asks for a buffer immediately before each read: then this looks at what is there (MSG_PEEK), which hands out
/// the descriptors, and gives a buffer in which exactly these bytes fit, so that the read takes them and no more.
/// docs/decisions/0032 has why, and on what it rests: `maxMessagesPerRead` of 1, for only then does NIO ask each time.
/// On the intake loop.
package final class LookAhead: RecvByteBufferAllocator, @unchecked Sendable {
    private let socket: CInt
    private let view: SocketView
    private var shown = 0
    private var passed = SocketView.Rights()

    package init(socket: CInt, view: SocketView) {
        self.socket = socket
        self.view = view
    }

    /// On the channel's loop; nil where the channel is no socket.
    package static func install(in channel: any Channel, _ view: SocketView) throws -> LookAhead? {
        let socket = try? channel.pipeline.syncOperations.withUnsafeTransportIfAvailable(of: CInt.self) { $0 }
        guard let socket = socket ?? nil, let options = channel.syncOptions else { return nil }
        let lookAhead = LookAhead(socket: socket, view: view)
        try options.setOption(.recvAllocator, value: lookAhead)
        return lookAhead
    }

    deinit { for number in passed.numbers { close(number) } }

    package func buffer(allocator: ByteBufferAllocator) -> ByteBuffer {
        shown = view.look(at: socket, &passed)
        // Where there is nothing, or an error, the read finds the same out; for an empty buffer it would find the end.
        let room = max(1, shown)
        var buffer = allocator.buffer(capacity: room)
        buffer.moveWriterIndex(to: room)
        guard var exact = buffer.getSlice(at: 0, length: room) else { return buffer }
        exact.moveWriterIndex(to: 0)
        return exact
    }

    /// From its pool NIO would take a buffer of another size, and without asking.
    package func nextBufferSize() -> Int? { nil }
    package func record(actualReadBytes: Int) -> Bool { true }

    /// What came with the bytes that were just read; owned by the caller.
    package func take(read bytes: Int) -> SocketView.Rights {
        defer { passed = SocketView.Rights() }
        // Another order of calls than is known here: what was lost is told to the line that names it.
        if bytes != shown { passed.isCut = true }
        return passed
    }
}

/// The memory for a look at a socket; all connections of a loop share it.
package final class SocketView {
    package struct Rights: Equatable {
        package var numbers: [CInt] = []
        /// Some came that could not be taken: this process has as many as it may.
        package var isCut = false

        package var isEmpty: Bool { numbers.isEmpty && !isCut }
    }

    /// As much as one read takes.
    private static let bytesMax = 64 << 10
    /// SCM_MAX_FD of Linux, in one message; beside them is room for other kinds.
    private static let controlBytes = 253 * MemoryLayout<CInt>.size + 256

    private let bytes = UnsafeMutableRawBufferPointer.allocate(byteCount: bytesMax, alignment: 16)
    private let control = UnsafeMutableRawBufferPointer.allocate(byteCount: controlBytes, alignment: 16)

    package init() {}

    deinit {
        bytes.deallocate()
        control.deallocate()
    }

    /// How many bytes the next read will find; adds the descriptors that came with them.
    fileprivate func look(at socket: CInt, _ rights: inout Rights) -> Int {
        var part = iovec(iov_base: bytes.baseAddress, iov_len: bytes.count)
        return withUnsafeMutablePointer(to: &part) { part in
            var message = msghdr()
            message.msg_iov = part
            message.msg_iovlen = 1
            message.msg_control = control.baseAddress
            message.msg_controllen = control.count
            let flags = CInt(MSG_PEEK) | CInt(MSG_DONTWAIT) | CInt(MSG_CMSG_CLOEXEC)
            let count = recvmsg(socket, &message, flags)
            guard count > 0 else { return 0 }
            if message.msg_controllen > 0 { collect(message.msg_controllen, &rights) }
            if message.msg_flags & CInt(MSG_CTRUNC) != 0 { rights.isCut = true }
            return count
        }
    }

    /// cmsg(3), whose macros Swift does not see.
    private func collect(_ length: Int, _ rights: inout Rights) {
        let head = MemoryLayout<cmsghdr>.size
        var place = 0
        while place + head <= length {
            let header = control.loadUnaligned(fromByteOffset: place, as: cmsghdr.self)
            let end = place + Int(header.cmsg_len)
            guard Int(header.cmsg_len) >= head, end <= length else { return }
            if header.cmsg_level == SOL_SOCKET, header.cmsg_type == CInt(SCM_RIGHTS) {
                for number in stride(from: place + head, to: end, by: MemoryLayout<CInt>.size) {
                    rights.numbers.append(control.loadUnaligned(fromByteOffset: number, as: CInt.self))
                }
            }
            place = (end + 7) & ~7
        }
    }
}
