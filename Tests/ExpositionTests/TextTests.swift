// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import Exposition
import Testing

func rendered(_ registry: Registry, _ format: TextFormat = .prometheus) -> String {
    var bytes: [UInt8] = []
    registry.render(format, into: &bytes)
    return String(decoding: bytes, as: UTF8.self)
}

@Suite("The text format") struct TextTests {
    @Test("a counter has its help, its type and its value, and starts at zero")
    func counter() {
        let registry = Registry()
        let jobs = registry.counter("jobs_total", "Jobs so far.")
        #expect(rendered(registry) == "# HELP jobs_total Jobs so far.\n# TYPE jobs_total counter\njobs_total 0\n")
        jobs.add()
        jobs.add(41)
        #expect(rendered(registry).hasSuffix("\njobs_total 42\n"))
    }

    @Test("families come in the order of their registration, each with all its label sets under one head")
    func order() {
        let registry = Registry()
        let late = registry.gauges("b", "B.", labels: ["x"])
        registry.gauge("a", "A.").set(-1.5)
        late.with("2").set(2)
        late.with("1").set(1)
        let expected = """
            # HELP b B.
            # TYPE b gauge
            b{x="2"} 2
            b{x="1"} 1
            # HELP a A.
            # TYPE a gauge
            a -1.5

            """
        #expect(rendered(registry) == expected)
    }

    @Test(
        "label values are escaped",
        arguments: [
            ("plain", "plain"), (#"a\b"#, #"a\\b"#), (#"say "hi""#, #"say \"hi\""#), ("two\nlines", #"two\nlines"#),
            ("", ""), ("größe", "größe"), ("a,b{c}=d", "a,b{c}=d"),
        ])
    func labelEscapes(value: String, text: String) {
        let registry = Registry()
        registry.gauges("a", "A.", labels: ["one", "two"]).with(value, "z").set(1)
        #expect(rendered(registry).hasSuffix("\na{one=\"\(text)\",two=\"z\"} 1\n"))
    }

    @Test(
        "help is escaped as each format wants it",
        arguments: [(TextFormat.prometheus, #"a\\b "c"\nd"#), (.openMetrics, #"a\\b \"c\"\nd"#)])
    func helpEscapes(format: TextFormat, text: String) {
        let registry = Registry()
        registry.gauge("a", "a\\b \"c\"\nd").set(0)
        #expect(rendered(registry, format).hasPrefix("# HELP a \(text)\n# TYPE a gauge\n"))
    }

    @Test(
        "numbers are written so that they read back the same",
        arguments: [
            (0.0, "0"), (3.0, "3"), (-7.0, "-7"), (0.1, "0.1"), (1e6, "1000000"), (1e300, "1e+300"),
            (1.0 / 3, "0.3333333333333333"), (.infinity, "+Inf"), (-.infinity, "-Inf"), (.nan, "NaN"),
        ])
    func numbers(value: Double, text: String) {
        let registry = Registry()
        registry.gauge("a", "A.").set(value)
        #expect(rendered(registry).hasSuffix("\na \(text)\n"))
    }

    @Test("computed numbers are asked for at each scrape and left out where there is none")
    func computed() {
        let registry = Registry()
        let source = registry.gauge("source", "S.")
        registry.computed("double", "D.") { source.value > 0 ? source.value * 2 : nil }
        #expect(!rendered(registry).contains("\ndouble "))
        source.set(4)
        #expect(rendered(registry).hasSuffix("\ndouble 8\n"))
    }

    @Test("what is rendered comes after what the buffer held")
    func appends() {
        let registry = Registry()
        registry.gauge("a", "A.").set(1)
        var bytes = Array("before\n".utf8)
        registry.render(into: &bytes)
        #expect(String(decoding: bytes, as: UTF8.self) == "before\n# HELP a A.\n# TYPE a gauge\na 1\n")
    }

    @Test("OpenMetrics names a counter's family without _total and ends in # EOF")
    func openMetrics() {
        let registry = Registry()
        registry.counters("jobs_total", "Jobs.", labels: ["type"]).with("email").add(3)
        let expected = "# HELP jobs Jobs.\n# TYPE jobs counter\njobs_total{type=\"email\"} 3\n# EOF\n"
        #expect(rendered(registry, .openMetrics) == expected)
    }

    @Test(
        "the scraper's wish decides the format",
        arguments: [
            ("", TextFormat.prometheus), ("*/*", .prometheus), ("text/plain", .prometheus),
            ("application/openmetrics-text", .openMetrics),
            ("application/openmetrics-text; version=1.0.0,text/plain;q=0.5", .openMetrics),
            ("text/plain;version=0.0.4, application/openmetrics-text;q=0.9", .prometheus),
            // As Prometheus 2 and 3 ask.
            (
                "application/openmetrics-text;version=1.0.0;q=0.5,application/openmetrics-text;version=0.0.1;q=0.4,"
                    + "text/plain;version=0.0.4;q=0.3,*/*;q=0.2",
                .openMetrics
            ),
            ("application/openmetrics-text;q=nonsense", .prometheus), (",;,", .prometheus),
            ("TEXT/HTML , Application/OpenMetrics-Text ; Q=1", .openMetrics),
        ])
    func negotiation(accept: String, format: TextFormat) {
        #expect(TextFormat(accepting: accept) == format)
    }
}
