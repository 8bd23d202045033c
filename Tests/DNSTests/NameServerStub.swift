// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import Glibc
import Synchronization

/// A name server over UDP on a free port of loopback, on a thread of its own, that says what the test wants: for the
/// name asked, an RCODE or an IPv4 address; nil: nothing at all.
final class NameServerStub: @unchecked Sendable {
    enum Reply { case code(UInt8), address([UInt8]) }

    let port: UInt16
    private let descriptor: CInt
    private let reply: @Sendable (String) -> Reply?
    private let isEnded = Mutex(false)

    init(_ reply: @escaping @Sendable (String) -> Reply?) {
        self.reply = reply
        let descriptor = socket(AF_INET, Int32(SOCK_DGRAM.rawValue), 0)
        self.descriptor = descriptor
        port = Self.bind(descriptor)
        var thread = pthread_t()
        pthread_create(&thread, nil, runStub, Unmanaged.passRetained(self).toOpaque())
        pthread_detach(thread)
    }

    /// Returns the port.
    private static func bind(_ descriptor: CInt) -> UInt16 {
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        let size = socklen_t(MemoryLayout<sockaddr_in>.size)
        var length = size
        withUnsafeMutablePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                _ = Glibc.bind(descriptor, $0, size)
                _ = getsockname(descriptor, $0, &length)
            }
        }
        return UInt16(bigEndian: address.sin_port)
    }

    /// Nobody answers on its port any more.
    func end() {
        isEnded.withLock { isEnded in
            guard !isEnded else { return }
            isEnded = true
            shutdown(descriptor, Int32(SHUT_RDWR))
            close(descriptor)
        }
    }

    fileprivate func serve() {
        var query = [UInt8](repeating: 0, count: 1500)
        while true {
            var from = sockaddr_in()
            var length = socklen_t(MemoryLayout<sockaddr_in>.size)
            let count = withUnsafeMutablePointer(to: &from) { pointer in
                pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                    recvfrom(descriptor, &query, query.count, 0, $0, &length)
                }
            }
            if isEnded.withLock({ $0 }) || count < 0 { return }
            guard count > 12, let answer = answer(Array(query.prefix(count))) else { continue }
            withUnsafePointer(to: &from) { pointer in
                pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                    _ = sendto(descriptor, answer, answer.count, 0, $0, length)
                }
            }
        }
    }

    /// RFC 1035 §4.1: the header and the question as they came, and at most one answer.
    private func answer(_ query: [UInt8]) -> [UInt8]? {
        var labels: [String] = []
        var index = 12
        while index < query.count, query[index] > 0 {
            let end = min(query.count, index + 1 + Int(query[index]))
            labels.append(String(decoding: query[(index + 1)..<end], as: UTF8.self))
            index = end
        }
        let questionEnd = min(query.count, index + 5)
        guard let reply = reply(labels.joined(separator: ".").lowercased()) else { return nil }
        var code: UInt8 = 0
        var record: [UInt8] = []
        switch reply {
        case .code(let number): code = number
        case .address(let bytes) where query[questionEnd - 3] == 1:
            record = [0xC0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4] + bytes
        case .address: break
        }
        let counts: [UInt8] = [0, 1, 0, record.isEmpty ? 0 : 1, 0, 0, 0, 0]
        return [query[0], query[1], 0x81, 0x80 | code] + counts + query[12..<questionEnd] + record
    }
}

private func runStub(_ argument: UnsafeMutableRawPointer?) -> UnsafeMutableRawPointer? {
    if let argument { Unmanaged<NameServerStub>.fromOpaque(argument).takeRetainedValue().serve() }
    return nil
}
