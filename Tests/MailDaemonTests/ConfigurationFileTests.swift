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

@Suite("A configuration file")
struct ConfigurationFileTests {
    @Test("is read whole, and its name stands in errors")
    func reads() throws {
        try withFile(Array("workers = 3\n".utf8)) { path in
            let configuration = try Configuration.load(path: path, stateDirectory: "/s")
            #expect(configuration.workers == 3)
        }
        try withFile(Array("workers = 0\n".utf8)) { path in
            expectError(
                path,
                ConfigurationError(
                    file: path, line: 1, key: "workers", message: "must be from 1 to 1024, not 0"))
        }
    }

    @Test("that was asked for and is missing is an error")
    func missing() {
        let path = "/nonexistent/maild.toml"
        expectError(path, ConfigurationError(file: path, message: "cannot be read: No such file or directory"))
    }

    @Test("that is a directory is an error")
    func directory() {
        expectError("/", ConfigurationError(file: "/", message: "cannot be read: Is a directory"))
    }

    @Test("that is not UTF-8 is an error")
    func notUTF8() throws {
        try withFile([0x23, 0xFF, 0x0A]) { path in
            expectError(path, ConfigurationError(file: path, message: "is not UTF-8"))
        }
    }

    @Test("of more than a mebibyte is some other file")
    func tooLarge() throws {
        try withFile([UInt8](repeating: 0x0A, count: (1 << 20) + 1)) { path in
            expectError(path, ConfigurationError(file: path, message: "is over 1048576 bytes: not a configuration"))
        }
    }

    private func expectError(_ path: String, _ expected: ConfigurationError) {
        let error = #expect(throws: ConfigurationError.self) {
            try Configuration.load(path: path, stateDirectory: "/s")
        }
        #expect(error == expected)
    }

    private func withFile(_ bytes: [UInt8], _ body: (String) throws -> Void) throws {
        var name = Array("/tmp/maild-configuration-XXXXXX".utf8CString)
        let descriptor = mkstemp(&name)
        try #require(descriptor >= 0)
        let path = String(decoding: name.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
        defer {
            close(descriptor)
            unlink(path)
        }
        try #require(write(descriptor, bytes, bytes.count) == bytes.count)
        try body(path)
    }
}
