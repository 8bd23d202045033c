// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

/// What a scrape is answered in.
package enum TextFormat: CaseIterable, Sendable {
    /// Prometheus' text format 0.0.4, which every scraper reads.
    case prometheus
    /// OpenMetrics 1.0.0: the same, stricter, and with an end by which a scrape cut short is known.
    case openMetrics

    /// For the `Content-Type` header.
    package var contentType: String {
        switch self {
        case .prometheus: "text/plain; version=0.0.4; charset=utf-8"
        case .openMetrics: "application/openmetrics-text; version=1.0.0; charset=utf-8"
        }
    }

    /// The format that the `Accept` header's value likes best; 0.0.4 where it names neither, or both alike.
    package init(accepting accept: String) {
        var plain = 0.0
        var open = 0.0
        for range in accept.split(separator: ",") {
            let parts = range.split(separator: ";").map { Self.trimmed($0).lowercased() }
            let weight = parts.dropFirst().first { $0.hasPrefix("q=") }.map { Double($0.dropFirst(2)) ?? 0 } ?? 1
            switch parts.first {
            case "application/openmetrics-text": open = max(open, weight)
            case "text/plain", "text/*", "*/*": plain = max(plain, weight)
            default: break
            }
        }
        self = open > plain ? .openMetrics : .prometheus
    }

    private static func trimmed(_ text: Substring) -> Substring {
        var text = text.drop { $0 == " " || $0 == "\t" }
        while let last = text.last, last == " " || last == "\t" { text.removeLast() }
        return text
    }
}

/// What the `# TYPE` line says.
package enum MetricType: String, Sendable {
    case counter, gauge, histogram
}

/// What one step of an instrument's whole number stands for. Times are kept as nanoseconds, so that recording is one
/// atomic addition, and shown as seconds, as Prometheus wants them.
package enum Unit: Sendable {
    case one
    case seconds

    var stepsPerUnit: Double {
        switch self {
        case .one: 1
        case .seconds: 1e9
        }
    }

    /// Negative amounts and those that are no number count as nothing; three centuries are the most that is kept.
    func steps(_ amount: Double) -> UInt64 {
        let steps = amount * stepsPerUnit
        guard steps > 0 else { return 0 }
        return steps < 9e18 ? UInt64(steps.rounded()) : 9_000_000_000_000_000_000
    }

    func amount(_ steps: UInt64) -> Double { Double(steps) / stepsPerUnit }
}
