// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

/// Another program of the system, run to its end; nil wherever it cannot be.
struct Program {
    /// The first is its name, looked for on the PATH, or its path.
    let arguments: [String]
    /// Beside PATH and the locale C, in which systemd's tools say what programs can read.
    var variables: [String: String] = [:]
    /// Standard error goes where standard output goes; else it is dropped.
    var mergesErrors = false

    struct Ending: Equatable {
        /// 128 and the signal's number where a signal ended it.
        var status: Int32
        var output: String
    }

    /// systemd's tools answer in milliseconds; what takes longer is stuck.
    private static let secondsMax = 30.0
    private static let outputBytesMax = 4 << 20

    func run() -> Ending? {
        var ends: [Int32] = [-1, -1]
        guard pipe(&ends) == 0 else { return nil }
        for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
        defer { close(ends[0]) }
        let child = spawn(writingTo: ends[1])
        close(ends[1])
        guard let child else { return nil }
        let output = read(ends[0])
        if output == nil { kill(child, SIGKILL) }
        var status: Int32 = 0
        while waitpid(child, &status, 0) < 0 { guard errno == EINTR else { return nil } }
        guard let output else { return nil }
        let signal = status & 0x7F
        return Ending(status: signal == 0 ? status >> 8 & 0xFF : 128 + signal, output: output)
    }

    private func spawn(writingTo end: Int32) -> pid_t? {
        var actions = posix_spawn_file_actions_t()
        guard posix_spawn_file_actions_init(&actions) == 0 else { return nil }
        defer { posix_spawn_file_actions_destroy(&actions) }
        posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0)
        posix_spawn_file_actions_adddup2(&actions, end, 1)
        if mergesErrors {
            posix_spawn_file_actions_adddup2(&actions, end, 2)
        } else {
            posix_spawn_file_actions_addopen(&actions, 2, "/dev/null", O_WRONLY, 0)
        }
        let path = Environment.value("PATH") ?? "/usr/sbin:/usr/bin:/sbin:/bin"
        let environment = ["PATH=\(path)", "LC_ALL=C.UTF-8"] + variables.map { "\($0)=\($1)" }
        var child: pid_t = 0
        let code = Self.withCStrings(arguments) { words in
            Self.withCStrings(environment) { posix_spawnp(&child, arguments[0], &actions, nil, words, $0) }
        }
        return code == 0 ? child : nil
    }

    private static func withCStrings<Value>(
        _ texts: [String], _ body: ([UnsafeMutablePointer<CChar>?]) -> Value
    ) -> Value {
        let copies = texts.map { strdup($0) }
        defer { for copy in copies { free(copy) } }
        return body(copies + [nil])
    }

    /// All it writes, cut at a bound; nil where it does not end in time.
    private func read(_ end: Int32) -> String? {
        let deadline = Self.now() + Self.secondsMax
        var bytes: [UInt8] = []
        while true {
            var interest = pollfd(fd: end, events: Int16(POLLIN), revents: 0)
            let rest = deadline - Self.now()
            guard rest > 0, poll(&interest, 1, Int32(rest * 1000)) != 0 else { return nil }
            switch Descriptor.readPiece(end, into: &bytes) {
            case .bytes: if bytes.count > Self.outputBytesMax { bytes.removeLast(bytes.count - Self.outputBytesMax) }
            case .end, .failed: return String(decoding: bytes, as: UTF8.self)
            }
        }
    }

    /// Seconds.
    private static func now() -> Double {
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC, &time)
        return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
    }
}
