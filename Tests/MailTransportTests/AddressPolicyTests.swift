// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailTransport
import NIOCore
import Testing

@Suite("Addresses that a webhook may reach")
struct AddressPolicyTests {
    private func refusal(_ text: String, _ policy: AddressPolicy = .publicOnly) throws -> String? {
        policy.refusal(of: try SocketAddress(ipAddress: text, port: 80))
    }

    @Test(
        "the public ones, up to their edges",
        arguments: [
            "1.1.1.1", "8.8.8.8", "9.255.255.255", "11.0.0.0", "100.63.255.255", "100.128.0.0", "126.255.255.255",
            "128.0.0.1", "169.253.255.255", "169.255.0.0", "172.15.255.255", "172.32.0.0", "192.0.1.0", "192.0.3.0",
            "192.167.255.255", "192.169.0.0", "198.17.255.255", "198.20.0.0", "203.0.112.255", "203.0.114.0",
            "223.255.255.255", "2606:4700::1111", "2a00:1450:4001::5e", "2001:200::1", "2001:db7::1", "2003::1",
            "::ffff:8.8.8.8", "64:ff9b::808:808",
        ])
    func allowed(_ text: String) throws { #expect(try refusal(text) == nil) }

    @Test(
        "and none that means something else here",
        arguments: [
            ("127.0.0.1", "a loopback address"), ("127.255.255.254", "a loopback address"),
            ("0.0.0.0", "an address of this network"), ("10.1.2.3", "a private address"),
            ("172.16.0.1", "a private address"), ("172.31.255.255", "a private address"),
            ("192.168.1.1", "a private address"), ("169.254.169.254", "a link-local address"),
            ("100.64.0.1", "a shared address"), ("100.100.100.200", "a shared address"),
            ("192.0.0.192", "a reserved address"), ("198.18.0.1", "an address for benchmarks"),
            ("198.19.255.255", "an address for benchmarks"), ("192.0.2.1", "an address for documentation"),
            ("224.0.0.1", "a multicast address"), ("239.255.255.250", "a multicast address"),
            ("240.0.0.1", "a reserved address"), ("255.255.255.255", "a reserved address"),
            ("::1", "a loopback address"), ("::", "an address of this network"),
            ("fe80::1", "a link-local address"), ("febf::1", "a link-local address"), ("fec0::1", "a private address"),
            ("fc00::1", "a private address"), ("fd00:ec2::254", "a private address"),
            ("ff02::1", "a multicast address"),
            ("2001:db8::1", "an address for documentation"), ("2002:7f00:1::", "an address of 6to4"),
            ("2001::1", "a reserved address"), ("100::1", "a reserved address"), ("4000::1", "not a public address"),
            ("::ffff:127.0.0.1", "a loopback address"), ("::ffff:10.0.0.1", "a private address"),
            ("::127.0.0.1", "an address of this network"), ("64:ff9b::7f00:1", "a loopback address"),
            ("64:ff9b::a9fe:a9fe", "a link-local address"), ("64:ff9b:1::a00:1", "a private address"),
            ("::ffff:0:169.254.169.254", "a link-local address"),
        ])
    func refused(_ text: String, _ kind: String) throws {
        #expect(try refusal(text)?.hasSuffix(" is \(kind)") == true)
        #expect(try refusal(text, .anywhere) == nil)
    }

    @Test("a Unix socket is no address of the internet")
    func unix() throws {
        #expect(AddressPolicy.publicOnly.refusal(of: try SocketAddress(unixDomainSocketPath: "/run/x")) != nil)
    }
}
