// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import DNS
import Testing

@Suite("IP addresses")
struct IPAddressTests {
    @Test(
        "are read from text and written back",
        arguments: [
            "192.0.2.1", "0.0.0.0", "255.255.255.255", "2001:db8::1", "::", "::1", "fe80::1", "::ffff:192.0.2.1",
        ])
    func roundTrip(text: String) throws {
        let address = try #require(IPAddress(text))
        #expect(address.description == text)
        #expect(IPAddress(bytes: address.bytes) == address)
        #expect(address.isIPv6 == text.contains(":"))
    }

    @Test(
        "are nothing else", arguments: ["", "192.0.2", "192.0.2.256", "1.2.3.4.5", "2001:db8::g", "[::1]", "a.example"])
    func refused(text: String) { #expect(IPAddress(text) == nil) }

    @Test("have 4 or 16 octets", arguments: [0, 3, 5, 15, 17])
    func octets(count: Int) { #expect(IPAddress(bytes: [UInt8](repeating: 1, count: count)) == nil) }
}
