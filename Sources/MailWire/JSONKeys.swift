// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

/// The keys of all objects that are open at a place in a text, innermost last: to find one that is given twice.
struct JSONKeys {
    /// Up to here comparing all pairs is cheaper than hashing.
    private static let pairsMax = 8

    private var keys: [JSONText] = []
    /// A hash table of places in `keys`, counted from 1; 0 is free.
    private var slots: [UInt16] = []

    var count: Int { keys.count }

    mutating func append(_ key: JSONText) { keys.append(key) }

    mutating func removeAll() { keys.removeAll(keepingCapacity: true) }

    /// Drops the keys from `mark` on, which were one object's; returns where one stands that was there before it.
    mutating func close(from mark: Int, in bytes: UnsafeRawBufferPointer) -> Int? {
        let twice = keys.count - mark <= Self.pairsMax ? pair(from: mark, bytes) : collision(from: mark, bytes)
        keys.removeLast(keys.count - mark)
        return twice
    }

    private func pair(from mark: Int, _ bytes: UnsafeRawBufferPointer) -> Int? {
        for later in mark..<keys.count {
            for earlier in mark..<later where keys[later].isSame(as: keys[earlier], in: bytes) {
                return keys[later].range.lowerBound
            }
        }
        return nil
    }

    /// Hasher is seeded anew in each process: nobody can prepare keys that collide.
    private mutating func collision(from mark: Int, _ bytes: UnsafeRawBufferPointer) -> Int? {
        var size = 32
        while size < 2 * (keys.count - mark) { size *= 2 }
        slots.removeAll(keepingCapacity: true)
        slots.append(contentsOf: repeatElement(0, count: size))
        for index in mark..<keys.count {
            var slot = keys[index].hash(in: bytes) & (size - 1)
            while slots[slot] != 0 {
                if keys[index].isSame(as: keys[mark + Int(slots[slot]) - 1], in: bytes) {
                    return keys[index].range.lowerBound
                }
                slot = (slot + 1) & (size - 1)
            }
            slots[slot] = UInt16(index - mark + 1)
        }
        return nil
    }
}

extension JSONText {
    /// The decoded text byte for byte, without memory of its own.
    struct Bytes: Sequence, IteratorProtocol {
        let bytes: UnsafeRawBufferPointer
        var place: Int
        let end: Int
        var pending: UTF8.EncodedScalar?

        mutating func next() -> UInt8? {
            if pending?.isEmpty == false { return pending?.removeFirst() }
            guard place < end else { return nil }
            if bytes[place] != UInt8(ascii: "\\") {
                place += 1
                return bytes[place - 1]
            }
            pending = UTF8.encode(JSONText.unescaped(bytes, at: &place, end: end))
            return pending?.removeFirst()
        }
    }

    func decodedBytes(in bytes: UnsafeRawBufferPointer) -> Bytes {
        Bytes(bytes: bytes, place: range.lowerBound, end: range.upperBound)
    }

    /// Whether both say the same: `a` and `\u0061` do.
    @inline(__always)
    func isSame(as other: JSONText, in bytes: UnsafeRawBufferPointer) -> Bool {
        if escaped || other.escaped {
            return decodedBytes(in: bytes).elementsEqual(other.decodedBytes(in: bytes))
        }
        guard range.count == other.range.count, let base = bytes.baseAddress else { return false }
        return memcmp(base + range.lowerBound, base + other.range.lowerBound, range.count) == 0
    }

    @inline(__always)
    package func equals(_ word: StaticString, in bytes: UnsafeRawBufferPointer) -> Bool {
        let plain = UnsafeBufferPointer(start: word.utf8Start, count: word.utf8CodeUnitCount)
        if escaped { return decodedBytes(in: bytes).elementsEqual(plain) }
        guard range.count == plain.count, let base = bytes.baseAddress else { return false }
        return memcmp(base + range.lowerBound, word.utf8Start, plain.count) == 0
    }

    package func equals(_ word: some Sequence<UInt8>, in bytes: UnsafeRawBufferPointer) -> Bool {
        decodedBytes(in: bytes).elementsEqual(word)
    }

    fileprivate func hash(in bytes: UnsafeRawBufferPointer) -> Int {
        var hasher = Hasher()
        if escaped {
            for byte in decodedBytes(in: bytes) { hasher.combine(byte) }
        } else {
            for byte in bytes[range] { hasher.combine(byte) }
        }
        return hasher.finalize()
    }
}
