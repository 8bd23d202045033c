// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailConfiguration
import MailDaemon
import Testing

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

/// A file that is gone when the test ends.
private final class KeyFile {
    let path: String

    /// The key of RFC 8463 A.1, or any other text.
    init(_ text: String = KeyFile.pem(seed: "J1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9g"), mode: mode_t = 0o600) throws
    {
        let parent = getenv("TMPDIR").map { String(cString: $0) } ?? P_tmpdir
        var template = Array("\(parent)/maild-key-XXXXXX".utf8CString)
        let descriptor = mkstemp(&template)
        path = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
        try #require(descriptor >= 0 && write(descriptor, text, text.utf8.count) == text.utf8.count)
        try #require(fchmod(descriptor, mode) == 0 && close(descriptor) == 0)
    }

    /// `seed`: the last 43 digits of an Ed25519 key's base64.
    static func pem(seed: String) -> String {
        "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEI\(seed)\n-----END PRIVATE KEY-----\n"
    }

    deinit { unlink(path) }
}

@Suite("[[dkim]]")
struct DKIMSettingsTests {
    private func parse(_ text: String) throws(ConfigurationError) -> Configuration {
        try Configuration.parse(text, file: "f", hostname: "h")
    }

    private func entry(_ file: KeyFile, domain: String = "example.org", selector: String = "s1") -> String {
        "[[dkim]]\ndomain = '\(domain)'\nselector = '\(selector)'\nkey_file = '\(file.path)'\n"
    }

    @Test("entries keep their order; names become small letters in ASCII")
    func entries() throws {
        let file = try KeyFile()
        let text = entry(file, domain: "Bücher.Example", selector: "2026.A") + "subdomains = true\n" + entry(file)
        let dkim = try parse(text).dkim
        #expect(dkim.map(\.domain) == ["xn--bcher-kva.example", "example.org"])
        #expect(dkim.map(\.selector) == ["2026.a", "s1"])
        #expect(dkim.map(\.coversSubdomains) == [true, false])
        #expect(dkim[0].source == .file(file.path))
        #expect(dkim[0].key.record == "v=DKIM1; k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=")
    }

    @Test("a domain may have several keys, a selector only one")
    func twice() throws {
        let file = try KeyFile()
        #expect(try parse(entry(file) + entry(file, selector: "s2")).dkim.count == 2)
        let error = #expect(throws: ConfigurationError.self) { try parse(entry(file) + entry(file, selector: "S1")) }
        #expect(error?.line == 7 && error?.key == "dkim[2].selector")
        #expect(error?.message.contains("s1 of example.org has a key already") == true)
    }

    @Test("a key that others may read or write is refused", arguments: [0o604, 0o660, 0o620, 0o601, 0o777])
    func modes(mode: Int) throws {
        let file = try KeyFile(mode: mode_t(mode))
        let error = #expect(throws: ConfigurationError.self) { try parse("\n" + entry(file)) }
        let shown = "(mode 0\(String(mode, radix: 8)))"
        #expect(error?.line == 5 && error?.key == "dkim[1].key_file")
        #expect(error?.message == "\(file.path) is open to others \(shown); make it 0600 or 0640")
    }

    @Test("what is in the file is judged, and never shown")
    func content() throws {
        for text in ["", "hunter2", "-----BEGIN PRIVATE KEY-----\nhunter2\n-----END PRIVATE KEY-----\n"] {
            let file = try KeyFile(text)
            let error = #expect(throws: ConfigurationError.self) { try parse(entry(file)) }
            #expect(error?.message.hasPrefix("\(file.path) is no") == true && error?.line == 4)
            #expect(error?.message.contains("hunter2") == false)
        }
        let large = try KeyFile(String(repeating: "a", count: 65_537))
        let error = #expect(throws: ConfigurationError.self) { try parse(entry(large)) }
        #expect(error?.message == "\(large.path) has over 65536 bytes")
    }

    @Test("a reload tells which entry changed, a new key in the same file too")
    func changes() throws {
        let file = try KeyFile()
        let one = try parse(entry(file))
        #expect(try parse(entry(file)).changes(from: one).changed.isEmpty)
        let keys = ["domain", "selector", "subdomains", "key_file"].map { "dkim[1].\($0)" }
        #expect(try one.changes(from: parse("")).changed == keys)
        #expect(try parse("").changes(from: one).changed == keys)
        #expect(try parse(entry(file) + "subdomains = true").changes(from: one).changed == ["dkim[1].subdomains"])
        let other = KeyFile.pem(seed: "J1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9A")
        let descriptor = open(file.path, O_WRONLY)
        try #require(write(descriptor, other, other.utf8.count) == other.utf8.count && close(descriptor) == 0)
        #expect(try parse(entry(file)).changes(from: one).changed == ["dkim[1].key_file"])
    }
}
