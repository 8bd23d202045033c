// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import DNS
import Testing

@Suite("Name servers")
struct NameServerTests {
    @Test(
        "are addresses, with a port where it is not 53",
        arguments: [
            ("192.0.2.53", "192.0.2.53", UInt16(53)), ("127.0.0.1:5353", "127.0.0.1:5353", 5353),
            ("192.0.2.53:53", "192.0.2.53", 53), ("2001:db8::53", "2001:db8::53", 53),
            ("[::1]:5353", "[::1]:5353", 5353), ("fe80::1%lo", "fe80::1%lo", 53),
            ("[fe80::1%lo]:5353", "[fe80::1%lo]:5353", 5353),
        ])
    func good(text: String, shown: String, port: UInt16) throws {
        let server = try #require(NameServer(text))
        #expect(server.description == shown && server.port == port)
    }

    @Test(
        "are no names and no half addresses",
        arguments: [
            "", "ns.example", "192.0.2", "192.0.2.1:", "192.0.2.1:0", "192.0.2.1:65536", "[192.0.2.1]:53", "[::1]",
            "192.0.2.1%eth0", "fe80::1%", "192.0.2.1:x", ":53",
        ])
    func bad(text: String) { #expect(NameServer(text) == nil) }
}
