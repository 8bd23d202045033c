// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailJob
import Testing

@Suite("URLs of http and https")
struct WebURLTests {
    @Test(
        "are taken apart as RFC 3986 has it",
        arguments: [
            ("https://example.com", "https://example.com", "/"),
            ("HTTPS://Example.COM/Path?q=1", "https://example.com", "/Path?q=1"),
            ("http://example.com:80/", "http://example.com", "/"),
            ("http://example.com:8080/a%20b", "http://example.com:8080", "/a%20b"),
            ("https://example.com:443?x", "https://example.com", "/?x"),
            ("https://example.com/#top", "https://example.com", "/"),
            ("https://192.0.2.1/x", "https://192.0.2.1", "/x"),
            ("http://[2001:DB8::1]:81/x", "http://[2001:db8::1]:81", "/x"),
            ("https://bücher.example/", "https://xn--bcher-kva.example", "/"),
            ("http://web_1:9000/hook", "http://web_1:9000", "/hook"),
            ("https://example.com//a//b", "https://example.com", "//a//b"),
        ])
    func good(_ text: String, _ origin: String, _ target: String) throws {
        let url = try WebURL(parsing: text)
        #expect(url.origin == origin && url.target == target)
        #expect("\(url)" == origin, "path and query may be a secret")
    }

    @Test(
        "what is none, or may be read in two ways, is refused with a reason",
        arguments: [
            ("", "does not begin with https://"), ("example.com", "does not begin with https://"),
            ("ftp://example.com", "does not begin with https://"), ("https:/example.com", "does not begin with"),
            ("https://", "has no host"), ("https:///path", "has no host"), ("https://:443/", "has no host"),
            ("https://user:pw@example.com/", "has a user before its host"),
            ("https://good.example@bad.example/", "has a user before its host"),
            ("https://example.com:0/", "has no port from 1 to 65535"),
            ("https://example.com:65536/", "has no port"), ("https://example.com:/", "has no port"),
            ("https://example.com:+1/", "has no port"), ("https://exa mple.com/", "has a host that is neither"),
            ("https://example..com/", "has a host that is neither"), ("https://example.com./", "neither a domain"),
            ("https://127.1/", "neither a domain name nor"), ("https://0x7f000001/", "neither a domain name nor"),
            ("https://2130706433/", "neither a domain name nor"), ("https://1.2.3.4.5/", "neither a domain name"),
            ("https://[::1/", "has in its brackets no IPv6"), ("https://[127.0.0.1]/", "has in its brackets no IPv6"),
            ("https://[fe80::1%25eth0]/", "has in its brackets no IPv6"),
            ("https://example.com/a b", "percent-encoding"), ("https://example.com/a\r\nX: y", "percent-encoding"),
            ("https://example.com/ü", "percent-encoding"), ("https://example.com/%2", "two hexadecimal digits"),
            ("https://example.com/%zz", "two hexadecimal digits"),
            ("https://☃.example/", "domain whose part"),
        ])
    func bad(_ text: String, _ reason: String) {
        let error = #expect(throws: WebURLError.self) { try WebURL(parsing: text) }
        #expect(error?.reason.contains(reason) == true, "\(error?.reason ?? "")")
    }

    @Test("one that is too long is refused")
    func long() {
        let text = "https://example.com/" + String(repeating: "a", count: WebURL.bytesMax)
        #expect(throws: WebURLError("has over 8192 bytes")) { try WebURL(parsing: text) }
    }

    @Test(
        "a reference leads on from it",
        arguments: [
            ("https://other.example/x", "https://other.example", "/x"),
            ("//other.example", "https://other.example", "/"),
            ("/y?z", "https://example.com:8443", "/y?z"), ("c", "https://example.com:8443", "/a/c"),
            ("?n=2", "https://example.com:8443", "/a/b?n=2"), ("#x", "https://example.com:8443", "/a/b?n=1"),
            ("c:d", nil, ""), ("http://127.0.0.1/", "http://127.0.0.1", "/"),
            ("./c:d", "https://example.com:8443", "/a/./c:d"),
        ] as [(String, String?, String)])
    func reference(_ text: String, _ origin: String?, _ target: String) throws {
        let base = try WebURL(parsing: "https://example.com:8443/a/b?n=1")
        let next = try? base.resolving(text)
        #expect(next?.origin == origin && next?.target ?? "" == target)
    }

    @Test(
        "covers those whose path begins with its own, up to the end of a part",
        arguments: [
            ("https://a.example", "https://a.example/any", true), ("https://a.example/x", "https://a.example/x", true),
            ("https://a.example/x", "https://a.example/x/y", true),
            ("https://a.example/x", "https://a.example/x?y", true),
            ("https://a.example/x", "https://a.example/xy", false),
            ("https://a.example/x/", "https://a.example/x/y", true),
            ("https://a.example/x/", "https://a.example/x", false), ("https://a.example", "http://a.example/", false),
            ("https://a.example", "https://a.example:444/", false),
            ("https://a.example", "https://a.example.org/", false),
        ])
    func covers(_ prefix: String, _ other: String, _ does: Bool) throws {
        #expect(try WebURL(parsing: prefix).covers(WebURL(parsing: other)) == does)
    }
}
