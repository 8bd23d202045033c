// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

struct SystemFault: Error, CustomStringConvertible {
    let description: String

    init(_ call: String, _ code: Int32 = errno) { description = "\(call): \(String(cString: strerror(code)))" }
}

/// A private directory that is gone with its files when the test ends.
final class TemporaryDirectory {
    let path: String

    init() throws {
        let parent = getenv("TMPDIR").map { String(cString: $0) } ?? P_tmpdir
        var template = Array("\(parent)/maild-message-XXXXXX".utf8CString)
        guard let made = mkdtemp(&template) else { throw SystemFault("mkdtemp") }
        path = String(cString: made)
    }

    func write(_ bytes: [UInt8], to name: String) throws {
        guard let file = fopen("\(path)/\(name)", "w") else { throw SystemFault("fopen \(name)") }
        let written = fwrite(bytes, 1, bytes.count, file)
        guard fclose(file) == 0, written == bytes.count else { throw SystemFault("fwrite \(name)") }
    }

    func read(_ name: String) throws -> String {
        guard let file = fopen("\(path)/\(name)", "r") else { throw SystemFault("fopen \(name)") }
        defer { fclose(file) }
        var result: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 65_536)
        while case let count = fread(&buffer, 1, buffer.count, file), count > 0 { result += buffer[..<count] }
        return String(decoding: result, as: UTF8.self)
    }

    deinit {
        if let directory = opendir(path) {
            while let entry = readdir(directory) {
                let name = withUnsafeBytes(of: entry.pointee.d_name) { bytes in
                    String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
                }
                unlink("\(path)/\(name)")
            }
            closedir(directory)
        }
        rmdir(path)
    }
}

/// Runs a Python script that lies beside the tests.
enum Python {
    /// Standard output and error together, and the exit status.
    static func run(_ script: String, _ argument: String) throws -> (output: String, status: Int32) {
        let directory = try TemporaryDirectory()
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        posix_spawn_file_actions_addopen(&actions, 1, "\(directory.path)/output", O_WRONLY | O_CREAT, 0o600)
        posix_spawn_file_actions_adddup2(&actions, 1, 2)
        // Listening sockets of tests beside this one would go on listening in the child.
        for descriptor in 3..<CInt(1024) { posix_spawn_file_actions_addclose(&actions, descriptor) }
        let words: [UnsafeMutablePointer<CChar>?] = ["python3", script, argument].map { (word: String) in strdup(word) }
        defer { words.forEach { free($0) } }
        var child: pid_t = 0
        let code = posix_spawnp(&child, "python3", &actions, nil, words + [nil], environ)
        guard code == 0 else { throw SystemFault("posix_spawnp python3", code) }
        var status: Int32 = 0
        while waitpid(child, &status, 0) < 0 {
            guard errno == EINTR else { throw SystemFault("waitpid") }
        }
        return (try directory.read("output"), status)
    }
}
