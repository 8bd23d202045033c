// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import Crypto
import CryptoExtras
import MailJob
import MailMessage
import Testing

/// A signature taken apart without any of the code that wrote it.
struct Signature {
    let tags: [String: String]
    /// As it stands in the message, with its CRLFs.
    let field: String

    init(_ field: String) {
        self.field = field
        let value = field.filter { !$0.isWhitespace }.dropFirst("DKIM-Signature:".count)
        var tags: [String: String] = [:]
        for part in value.split(separator: ";") {
            let halves = part.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            tags[String(halves[0])] = String(halves[1])
        }
        self.tags = tags
    }

    var names: [String] { (tags["h"] ?? "").split(separator: ":").map(String.init) }

    /// The signatures that `entries` put on `message`, from the top.
    static func made(_ entries: [DKIMEntry], on message: String, at time: WallTime = mondayMorning) throws
        -> [Signature]
    {
        guard let signing = DKIMSigner(entries).signing(of: Array(message.utf8), at: time) else { return [] }
        var fields: [String] = []
        for line in String(decoding: try signing.fields(), as: UTF8.self).split(separator: "\r\n") {
            if line.first == " " { fields[fields.count - 1] += "\(line)\r\n" } else { fields.append("\(line)\r\n") }
        }
        return fields.map(Signature.init)
    }
}

private let message = "From: a@example.org\r\nTo: b@example.com\r\nSubject: hi\r\nX-Other: x\r\n\r\ntext\r\n"
private let oversigned = ["from", "from", "reply-to", "subject", "subject", "to", "to", "cc", "date", "message-id"]

@Suite("Signing")
struct DKIMSignerTests {
    private func entry(_ domain: String, _ selector: String = "s1", below: Bool = false) throws -> DKIMEntry {
        DKIMEntry(
            domain: domain, selector: selector, coversSubdomains: below, key: try DKIMKey(pem: RFC8463.ed25519))
    }

    private func both() throws -> [DKIMEntry] {
        let rsa = try DKIMKey(pem: Keys.rsa.get().pemRepresentation)
        return [DKIMEntry(domain: "example.org", selector: "r1", key: rsa), try entry("example.org", "e1")]
    }

    @Test("RFC 8463 §3, RFC 8301: both algorithms sign, each with its own selector")
    func algorithms() throws {
        let signatures = try Signature.made(both(), on: message)
        #expect(signatures.map { $0.tags["a"] } == ["rsa-sha256", "ed25519-sha256"])
        #expect(signatures.map { $0.tags["s"] } == ["r1", "e1"])
        for signature in signatures {
            let expected = ["v": "1", "c": "relaxed/relaxed", "d": "example.org", "t": "1795428000"]
            for (name, value) in expected { #expect(signature.tags[name] == value) }
            #expect(Set(signature.tags.keys) == ["v", "a", "c", "d", "s", "t", "h", "bh", "b"])
        }
        #expect(signatures[0].tags["bh"] == signatures[1].tags["bh"])
        #expect(octets(base64: signatures[0].tags["b"] ?? "")?.count == 256)
        #expect(octets(base64: signatures[1].tags["b"] ?? "")?.count == 64)
    }

    @Test("RFC 6376 §8.2: there is no l=; §8.15: what a reader sees is named once more than it is there")
    func oversigns() throws {
        let signature = try #require(try Signature.made([entry("example.org")], on: message).first)
        #expect(signature.tags["l"] == nil)
        #expect(signature.names == oversigned)
    }

    @Test("two From fields are named three times, and only what is there of the rest")
    func fields() throws {
        let more = "MIME-Version: 1.0\r\ncontent-type: text/plain\r\nReferences: <a@b>\r\nFrom: x@y.example\r\n"
        let signature = try #require(
            try Signature.made([entry("example.org")], on: message.replacing("X-Other: x\r\n", with: more)).first)
        #expect(
            signature.names == ["from"] + oversigned + [
                "mime-version", "mime-version", "content-type", "content-type", "references", "references",
            ])
    }

    @Test("RFC 8058 §4: List-Unsubscribe and List-Unsubscribe-Post are signed, and other fields of lists")
    func lists() throws {
        let unsubscribe = "<https://example.org/u/\(String(repeating: "x", count: 200))>"
        let fields = MessageFields.sample {
            $0.headers = [
                ("List-Unsubscribe", unsubscribe), ("List-Unsubscribe-Post", "List-Unsubscribe=One-Click"),
                ("List-Id", "<l.example.org>"), ("Auto-Submitted", "auto-generated"), ("X-Mine", "y"),
            ]
        }
        let text = String(decoding: try MessageComposer.compose(fields).bytes, as: UTF8.self)
        let signature = try #require(try Signature.made([entry("example.org")], on: text).first)
        let tail = ["list-unsubscribe", "list-unsubscribe-post", "list-id", "auto-submitted"]
        #expect(Array(signature.names.suffix(4)) == tail && !signature.names.contains("x-mine"))
    }

    @Test("RFC 5322 §2.1.1: no line of a signature is over 78 octets")
    func folded() throws {
        let long = "s234567890.s234567890"
        for signature in try Signature.made(both() + [entry("example.org", long)], on: message) {
            let lines = signature.field.split(separator: "\r\n")
            #expect(lines.allSatisfy { $0.utf8.count <= 78 } && lines.count > 3)
            #expect(lines.dropFirst().allSatisfy { $0.hasPrefix(" ") && $0.contains { $0 != " " } })
        }
    }

    @Test("the same message, key and time give the same octets: a retry sends what was sent")
    func same() throws {
        let entries = try both()
        #expect(
            try Signature.made(entries, on: message).map(\.field) == Signature.made(entries, on: message).map(\.field))
        let later = try Signature.made(entries, on: message, at: mondayMorning + 60)
        #expect(later.first?.tags["t"] == "1795428060")
    }

    @Test(
        "an entry signs its own domain; what is below only where it says so, and the nearest wins",
        arguments: [
            ("a@example.org", ["own"]), ("a@EXAMPLE.org", ["own"]), ("Ann <a@example.org>", ["own"]),
            ("a@mail.example.org", []), ("a@org", []), ("a@xexample.org", []), ("a@x.example.net", ["net"]),
            ("a@y.x.example.net", ["net"]), ("a@sub.example.net", ["sub"]), ("a@z.sub.example.net", ["net"]),
            ("a@example.net", ["net"]), ("a@xn--bcher-kva.example", ["idn"]),
        ])
    func domains(from: String, selectors: [String]) throws {
        let entries = [
            try entry("example.org", "own"), try entry("example.net", "net", below: true),
            try entry("sub.example.net", "sub"), try entry("xn--bcher-kva.example", "idn"),
        ]
        let signatures = try Signature.made(entries, on: "From: \(from)\r\n\r\n")
        #expect(signatures.map { $0.tags["s"] ?? "" } == selectors)
    }

    @Test(
        "a message that carries the signature already gets only the others",
        arguments: [
            ("DKIM-Signature: v=1; d=example.org; s=r1; b=x", ["e1"]),
            ("dkim-signature: v=1;\r\n d = Example.ORG;\r\n\ts\t=\tR1; b=x", ["e1"]),
            ("DKIM-Signature: d=example.org; s=r1; b=\r\nDKIM-Signature: d=example.org; s=e1; b=", []),
            ("DKIM-Signature: v=1; d=example.net; s=r1; b=x", ["r1", "e1"]),
            ("X-DKIM-Signature: v=1; d=example.org; s=r1; b=x", ["r1", "e1"]),
            ("DKIM-Signature: nonsense", ["r1", "e1"]),
        ])
    func signedAlready(field: String, selectors: [String]) throws {
        let signatures = try Signature.made(both(), on: "\(field)\r\n\(message)")
        #expect(signatures.map { $0.tags["s"] ?? "" } == selectors)
    }

    @Test("nobody signs what has no author", arguments: ["To: a@example.org\r\n\r\n", "From: x\r\n\r\n", "\r\n", ""])
    func noAuthor(text: String) throws {
        #expect(try Signature.made([entry("example.org", below: true)], on: text).isEmpty)
    }
}
