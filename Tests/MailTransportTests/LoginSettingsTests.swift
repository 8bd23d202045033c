// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailTransport
import Secrets
import Testing

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

@Suite("Secrets in files")
struct LoginSettingsTests {
    private let directory = TemporaryDirectory()

    private func file(_ text: String, mode: mode_t) -> SecretSource {
        directory.write("secret", text)
        chmod(directory.path + "/secret", mode)
        return SecretSource(kind: .password, place: .file(directory.path + "/secret"))
    }

    private func reason(_ source: SecretSource) -> String {
        do throws(SecretFileError) {
            _ = try source.read()
            return "none"
        } catch {
            return error.reason
        }
    }

    @Test("one line end behind the secret is none of it", arguments: ["s3cret", "s3cret\n", "s3cret\r\n"])
    func lineEnd(text: String) throws {
        #expect(try file(text, mode: 0o600).read() == Secret("s3cret"))
    }

    @Test("spaces and inner line ends are part of it")
    func inner() throws {
        #expect(try file(" a\nb \n\n", mode: 0o640).read() == Secret(" a\nb \n"))
    }

    @Test("a file that others may read or write is refused", arguments: [0o644, 0o604, 0o602, 0o601] as [mode_t])
    func open(mode: mode_t) {
        let reason = reason(file("s3cret", mode: mode))
        #expect(reason.contains("is open to others (mode 0\(String(mode, radix: 8)))") && !reason.contains("s3cret"))
    }

    @Test("an empty file, a missing one, a directory and one that is too long are errors that name the path")
    func bad() {
        #expect(reason(file("\n", mode: 0o600)) == "\(directory.path)/secret is empty")
        let missing = SecretSource(kind: .token, place: .file("\(directory.path)/none"))
        #expect(reason(missing) == "\(directory.path)/none cannot be read: No such file or directory")
        let folder = SecretSource(kind: .token, place: .file(directory.path))
        #expect(reason(folder) == "\(directory.path) is no plain file")
        let long = file(String(repeating: "x", count: 65_537), mode: 0o600)
        #expect(reason(long) == "\(directory.path)/secret has over 65536 bytes")
    }

    @Test("without systemd a credential is missed by its name")
    func credential() {
        let source = SecretSource(kind: .password, place: .credential("relay"))
        #expect(reason(source).contains("there is no credential relay"))
    }
}
