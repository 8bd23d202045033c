// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import DNS
import Testing

@Suite("Records in wire format")
struct RecordTests {
    static func mx(_ preference: Int, _ name: String) -> [UInt8] {
        var bytes = [UInt8(preference >> 8), UInt8(preference & 0xFF)]
        for label in name.split(separator: ".") { bytes += [UInt8(label.utf8.count)] + Array(label.utf8) }
        return bytes + [0]
    }

    @Test("an MX has a preference and a host, in lower case")
    func mx() {
        #expect(
            MXRecord(Self.mx(10, "Mail.Example.COM")) == MXRecord(preference: 10, exchange: "mail.example.com"))
        #expect(MXRecord(Self.mx(65535, "a")) == MXRecord(preference: 65535, exchange: "a"))
        #expect(MXRecord(Self.mx(0, "")) == MXRecord(preference: 0, exchange: ""))
        #expect(MXRecord(Self.mx(5, "_under.example"))?.exchange == "_under.example")
    }

    @Test(
        "an MX that is cut off, compressed or names no host is none",
        arguments: [
            [], [0], [0, 1], [0, 1, 3, 0x61], [0, 1, 1, 0x61, 0, 0], [0, 1, 0xC0, 0x0C], [0, 1, 1, 0x20, 0],
            [0, 1, 1, 0x2E, 0], [0, 1, 2, 0x61, 0xFF, 0], [0, 1, 1, 0x61],
        ] as [[UInt8]])
    func broken(bytes: [UInt8]) { #expect(MXRecord(bytes) == nil) }

    @Test("a TLSA record has three numbers and data")
    func tlsa() {
        #expect(
            TLSARecord([3, 1, 1, 0xAB, 0xCD]) == TLSARecord(usage: 3, selector: 1, matching: 1, data: [0xAB, 0xCD]))
        #expect(TLSARecord([3, 1, 1]) == nil)
    }
}
