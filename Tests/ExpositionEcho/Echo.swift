// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import Exposition
import Glibc

/// Does to a registry what standard input says, and writes what it exposes: for Tests/System/test_exposition.py, which
/// thinks up the metrics and has a real parser read them.
///
///     counter|gauge NAME HELP LABELS          texts in hexadecimal after an x, lists with commas between them
///     histogram NAME HELP LABELS BOUNDS
///     to NUMBER VALUES AMOUNT                 of the family of that number: adds, sets or observes
///     render                                  both formats, each after its length; the next registry begins
@main
struct Echo {
    static func main() {
        var session = EchoSession()
        while let line = readLine() { session.obey(line.split(separator: " ").map(String.init)) }
    }
}

/// One registry under way.
struct EchoSession {
    private var registry = Registry()
    /// Each does with label values and an amount what its kind of metric does.
    private var families: [([String], Double) -> Void] = []

    mutating func obey(_ words: [String]) {
        switch words.first {
        case "counter":
            let family = registry.counters(text(words[1]), text(words[2]), labels: list(words[3]))
            families.append { family.with($0).add(Int($1)) }
        case "gauge":
            let family = registry.gauges(text(words[1]), text(words[2]), labels: list(words[3]))
            families.append { family.with($0).set($1) }
        case "histogram":
            let buckets = Buckets(words[4].split(separator: ",").compactMap { Double($0) })
            let family = registry.histograms(
                text(words[1]), text(words[2]), labels: list(words[3]), buckets: buckets, unit: .one)
            families.append { family.with($0).observe($1) }
        case "to":
            families[Int(words[1]) ?? 0](list(words[2]), Double(words[3]) ?? .nan)
        case "render": render()
        default: preconditionFailure("no such word: \(words)")
        }
    }

    private mutating func render() {
        for format in TextFormat.allCases {
            var bytes: [UInt8] = []
            registry.render(format, into: &bytes)
            put(Array("\(bytes.count)\n".utf8) + bytes)
        }
        self = EchoSession()
    }

    private func put(_ text: [UInt8]) {
        var rest = text[...]
        while !rest.isEmpty {
            let count = rest.withUnsafeBytes { write(1, $0.baseAddress, $0.count) }
            guard count > 0 else { exit(1) }
            rest = rest.dropFirst(count)
        }
    }

    /// Without anything in it, `-`.
    private func list(_ word: String) -> [String] {
        word == "-" ? [] : word.split(separator: ",").map { text(String($0)) }
    }

    /// `x`, and two digits a byte.
    private func text(_ word: String) -> String {
        let digits = Array(word.dropFirst())
        let bytes = stride(from: 0, to: digits.count - 1, by: 2).compactMap {
            UInt8(String(digits[$0...($0 + 1)]), radix: 16)
        }
        return String(decoding: bytes, as: UTF8.self)
    }
}
