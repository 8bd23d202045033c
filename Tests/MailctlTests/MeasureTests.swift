// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import Testing
import mailctl

@Suite struct MeasureTests {
    @Test(
        "a length of time has two units at most",
        arguments: [
            (0, "0ms"), (-5, "0ms"), (0.02, "20ms"), (0.9994, "999ms"), (0.9996, "1.0s"), (9.94, "9.9s"), (9.96, "10s"),
            (59.4, "59s"), (59.6, "1m"),
            (60, "1m"), (90, "1m30s"), (3599.9, "59m59s"), (3600, "1h"), (11_520, "3h12m"), (86_399, "23h59m"),
            (86_400, "1d"), (183_600, "2d3h"), (864_000, "10d"), (28_000_000, "324d"), (.infinity, "?"), (.nan, "?"),
            (1e300, "?"),
        ] as [(Double, String)])
    func timeText(seconds: Double, text: String) { #expect(Measure.text(seconds: seconds) == text) }

    @Test(
        "a span is seconds, or amounts with units",
        arguments: [
            ("90", 90), ("1.5", 1.5), ("0", 0), ("15m", 900), ("2h", 7200), ("1d12h", 129_600), ("1w", 604_800),
            ("1h30m5s", 5405), ("0.5h", 1800), ("", nil), ("h", nil), ("1h30", nil), ("-5", nil), ("5x", nil),
            ("1 h", nil), ("1e3", nil), ("inf", nil), ("0x10", nil), ("1.2.3", nil), (".5", nil), ("٣", nil),
        ] as [(String, Double?)])
    func span(text: String, seconds: Double?) { #expect(Measure.seconds(text) == seconds) }

    @Test(
        "a size has one decimal from a kibibyte on",
        arguments: [
            (0, "0 B"), (1023, "1023 B"), (1024, "1.0 KiB"), (1536, "1.5 KiB"), (1_048_575, "1.0 MiB"),
            (35_651_584, "34.0 MiB"), (20 << 30, "20.0 GiB"), (5 << 40, "5.0 TiB"),
        ])
    func sizeText(bytes: Int, text: String) { #expect(Measure.text(bytes: bytes) == text) }
}
