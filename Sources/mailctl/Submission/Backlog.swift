// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

/// Bytes that wait to be sent; what has gone is dropped now and then, not at each step.
struct Backlog {
    var bytes: [UInt8] = []
    private var head = 0
    /// All that was ever sent.
    private(set) var sent = 0

    var count: Int { bytes.count - head }
    var isEmpty: Bool { count == 0 }

    func withWaiting<Result>(_ body: (UnsafeRawBufferPointer) -> Result) -> Result {
        bytes.withUnsafeBytes { body(UnsafeRawBufferPointer(rebasing: $0[head...])) }
    }

    mutating func drop(_ count: Int) {
        head += count
        sent += count
        if head == bytes.count {
            bytes.removeAll(keepingCapacity: true)
            head = 0
        }
    }
}
