// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import DNS
import Testing

@Suite("IP addresses")
struct IPAddressTests {
    @Test(
        "are read from text and written back",
        arguments: ["192.0.2.1", "0.0.0.0", "255.255.255.255", "2001:db8::1", "::", "::1", "fe80::1", "::ffff:192.0.2.1"])
    func roundTrip(text: String) throws {
        let address = try #require(IPAddress(text))
        #expect(address.description == text)
        #expect(IPAddress(bytes: address.bytes) == address)
        #expect(address.isIPv6 == text.contains(":"))
    }

    @Test("are nothing else", arguments: ["", "192.0.2", "192.0.2.256", "1.2.3.4.5", "2001:db8::g", "[::1]", "a.example"])
    func refused(text: String) { #expect(IPAddress(text) == nil) }

    @Test("have 4 or 16 octets", arguments: [0, 3, 5, 15, 17])
    func octets(count: Int) { #expect(IPAddress(bytes: [UInt8](repeating: 1, count: count)) == nil) }

    @Test(
        "are public",
        arguments: [
            "1.1.1.1", "9.255.255.255", "11.0.0.0", "100.63.255.255", "100.128.0.0", "126.255.255.255", "128.0.0.1",
            "169.253.255.255", "172.15.255.255", "172.32.0.0", "192.167.255.255", "192.169.0.0", "223.255.255.255",
            "2606:4700::1111", "2a00::1", "64:ff9b::101:101", "::ffff:1.1.1.1", "2002:101:101::1",
        ])
    func isPublic(text: String) throws { #expect(try #require(IPAddress(text)).isPublic) }

    @Test(
        "are of this machine, this network or nobody",
        arguments: [
            "0.0.0.0", "0.1.2.3", "10.0.0.1", "100.64.0.1", "100.127.255.255", "127.0.0.1", "127.255.255.255",
            "169.254.0.1", "172.16.0.1", "172.31.255.255", "192.168.0.1", "224.0.0.1", "239.255.255.255", "240.0.0.1",
            "255.255.255.255", "::", "::1", "::7f00:1", "fc00::1", "fdff::1", "fe80::1", "febf::1", "fec0::1", "ff02::1",
            "::ffff:127.0.0.1", "::ffff:10.0.0.1", "64:ff9b::7f00:1", "64:ff9b::a00:1", "2002:7f00:1::", "2002:a00:1::1",
        ])
    func isNotPublic(text: String) throws { #expect(try !#require(IPAddress(text)).isPublic) }
}
