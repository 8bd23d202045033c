// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

/// Lengths of time and sizes as people write them.
package enum Measure {
    /// Two units at most: `20ms`, `1.5s`, `42s`, `12m30s`, `3h12m`, `2d3h`, `17d`.
    package static func text(seconds: Double) -> String {
        guard seconds.isFinite else { return "?" }
        let seconds = max(0, seconds)
        if seconds < 0.9995 { return "\(Int((seconds * 1000).rounded()))ms" }
        if seconds < 9.95 { return "\(tenths(seconds))s" }
        guard seconds < 1e12 else { return "?" }
        let whole = Int(seconds.rounded(seconds < 60 ? .toNearestOrAwayFromZero : .down))
        switch whole {
        case ..<60: return "\(whole)s"
        case ..<3600: return pair(whole, 60, "m", 1, "s")
        case ..<86_400: return pair(whole, 3600, "h", 60, "m")
        case ..<864_000: return pair(whole, 86_400, "d", 3600, "h")
        default: return "\(whole / 86_400)d"
        }
    }

    private static func pair(_ seconds: Int, _ large: Int, _ first: String, _ small: Int, _ second: String) -> String {
        let rest = seconds % large / small
        return "\(seconds / large)\(first)" + (rest == 0 ? "" : "\(rest)\(second)")
    }

    private static func tenths(_ value: Double) -> String {
        let tenths = Int((value * 10).rounded())
        return "\(tenths / 10).\(tenths % 10)"
    }

    /// Seconds from `90`, `1.5`, `15m`, `2h` or `1d12h`; nil from anything else.
    package static func seconds(_ text: String) -> Double? {
        if let plain = number(text[...]) { return plain }
        var total = 0.0
        var rest = text[...]
        while !rest.isEmpty {
            guard let unit = rest.firstIndex(where: { $0.isLetter }), let amount = number(rest[..<unit]),
                let worth = unitSeconds(rest[unit])
            else { return nil }
            total += amount * worth
            rest = rest[rest.index(after: unit)...]
        }
        return text.isEmpty ? nil : total
    }

    private static func number(_ text: Substring) -> Double? {
        guard let first = text.first, first.isASCII, first.isNumber,
            text.allSatisfy({ ($0.isASCII && $0.isNumber) || $0 == "." })
        else { return nil }
        return Double(text)
    }

    private static func unitSeconds(_ unit: Character) -> Double? {
        switch unit {
        case "s": 1
        case "m": 60
        case "h": 3600
        case "d": 86_400
        case "w": 604_800
        default: nil
        }
    }

    /// `512 B`, `1.5 KiB`, `34.0 MiB`.
    package static func text(bytes: Int) -> String {
        guard bytes >= 1024 else { return "\(max(0, bytes)) B" }
        var value = Double(bytes) / 1024
        for unit in ["KiB", "MiB", "GiB"] {
            if value < 1023.95 { return "\(tenths(value)) \(unit)" }
            value /= 1024
        }
        return "\(tenths(value)) TiB"
    }
}
