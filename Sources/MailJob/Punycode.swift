// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

/// RFC 3492: any text as letters, digits and hyphens.
package enum Punycode {
    // RFC 3492 §5
    private static let base = 36
    private static let tMin = 1
    private static let tMax = 26
    private static let skew = 38
    private static let damp = 700
    private static let biasInitial = 72

    /// RFC 3492 §6.3. ASCII keeps its case and place; nil where a text is so long that the arithmetic would overflow.
    package static func encode(_ text: some Collection<Unicode.Scalar>) -> String? {
        var output = String(String.UnicodeScalarView(text.filter(\.isASCII)))
        let basicCount = output.utf8.count
        if basicCount > 0 { output.append("-") }
        var (handled, delta, bias) = (basicCount, 0, biasInitial)
        var least: UInt32 = 0x80
        while handled < text.count {
            guard let next = text.lazy.map(\.value).filter({ $0 >= least }).min() else { return nil }
            let (step, overflow) = Int(next - least).multipliedReportingOverflow(by: handled + 1)
            guard !overflow, delta <= Int(Int32.max) - step else { return nil }
            delta += step
            least = next
            for scalar in text {
                if scalar.value < least { delta += 1 }
                guard scalar.value == least else { continue }
                append(delta, bias, to: &output)
                bias = adapt(delta, handled + 1, isFirst: handled == basicCount)
                delta = 0
                handled += 1
            }
            delta += 1
            least += 1
        }
        return output
    }

    /// One number of variable length, its low digits first.
    private static func append(_ number: Int, _ bias: Int, to output: inout String) {
        var rest = number
        var position = base
        while true {
            let threshold = min(max(position - bias, tMin), tMax)
            guard rest >= threshold else { break }
            output.append(digit(threshold + (rest - threshold) % (base - threshold)))
            rest = (rest - threshold) / (base - threshold)
            position += base
        }
        output.append(digit(rest))
    }

    /// RFC 3492 §6.1
    private static func adapt(_ delta: Int, _ count: Int, isFirst: Bool) -> Int {
        var delta = isFirst ? delta / damp : delta / 2
        delta += delta / count
        var rounds = 0
        while delta > (base - tMin) * tMax / 2 {
            delta /= base - tMin
            rounds += base
        }
        return rounds + (base - tMin + 1) * delta / (delta + skew)
    }

    /// `a`–`z` for 0 to 25, `0`–`9` for 26 to 35.
    private static func digit(_ value: Int) -> Character {
        Character(Unicode.Scalar(UInt8(truncatingIfNeeded: value < 26 ? 0x61 + value : 0x16 + value)))
    }
}
