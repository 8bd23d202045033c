// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailJob
import MailTransport
import Testing

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

@Suite("What the end of a program means for its job")
struct ProgramEndTests {
    @Test(
        "0 is done, 75 may be tried again, all else failed; who was killed may be tried again",
        arguments: [
            (ProgramEnd(.exited(0)), Verdict.delivered(Reply(0, "", "exited with 0"))),
            (ProgramEnd(.exited(0), output: "ok"), .delivered(Reply(0, "", "ok"))),
            (ProgramEnd(.exited(75)), .deferred(Reply(75, "", "exited with 75"))),
            (ProgramEnd(.exited(75), output: "busy"), .deferred(Reply(75, "", "busy"))),
            (ProgramEnd(.exited(1), output: "bad number"), .rejected(Reply(1, "", "bad number"))),
            (ProgramEnd(.exited(64)), .rejected(Reply(64, "", "exited with 64"))),
            (ProgramEnd(.exited(255)), .rejected(Reply(255, "", "exited with 255"))),
            (ProgramEnd(.killed(signal: 9)), .deferred(Reply(0, "", "killed by signal 9"))),
            (
                ProgramEnd(.outOfTime(seconds: 1.5), output: "so far"),
                .deferred(Reply(0, "", "not done within 1.5 s, and killed: so far"))
            ),
        ])
    func verdicts(_ end: ProgramEnd, _ verdict: Verdict) { #expect(end.verdict == verdict) }

    @Test("who never began, or was stopped with maild, has no verdict: nothing was tried")
    func none() {
        #expect(ProgramEnd(.stopped).verdict == nil && ProgramEnd(.unstarted("no such file")).verdict == nil)
    }
}

@Suite("Programs that are run")
struct ProgramTests {
    private func run(
        _ script: String, input: String = "", seconds: Double = 30, grace: Double = 5, stop: CInt = -1,
        environment: [String] = ["PATH=/usr/bin:/bin"]
    ) -> ProgramEnd {
        var program = Program(
            command: ["/bin/sh", "-c", script], environment: environment, directory: "/", secondsMax: seconds)
        program.graceSeconds = grace
        // maild ignores it, and so must who tests it.
        signal(SIGPIPE, SIG_IGN)
        return Array(input.utf8).withUnsafeBytes { program.run(input: $0, stop: stop) }
    }

    @Test("get the input, and are heard on both outputs, in order")
    func talk() {
        let end = run("cat; echo err >&2; echo out; exit 3", input: "{\"a\":1}\n")
        #expect(end == ProgramEnd(.exited(3), output: #"{"a":1} err out"#))
    }

    @Test("need not read their input, however long it is")
    func unread() {
        let end = run("exec 0<&-; echo done", input: String(repeating: "x", count: 1 << 20))
        #expect(end == ProgramEnd(.exited(0), output: "done"))
        #expect(run("exit 0", input: String(repeating: "x", count: 1 << 20)).cause == .exited(0))
    }

    @Test("read all of a long input while they write a long output")
    func both() {
        let input = String(repeating: "0123456789abcde\n", count: 1 << 16)
        let end = run("tee /dev/stderr | wc -c", input: input)
        #expect(end.cause == .exited(0) && end.output.hasSuffix("1048576"))
    }

    @Test("that write without end are heard to the last, and ended in time")
    func flood() {
        let end = run("yes | head -c 50000000; echo end of it")
        #expect(end.cause == .exited(0) && end.output.hasSuffix("y y end of it"))
        #expect(end.output.utf8.count <= Limits.keptTextBytesMax + 3)
        #expect(run("yes", seconds: 0.3).cause == .outOfTime(seconds: 0.3))
    }

    @Test("are ended by SIGTERM when their time is up, and by SIGKILL where they do not mind it")
    func time() {
        let kind = run("trap 'echo bye; exit 9' TERM; while :; do sleep 0.02; done", seconds: 0.3)
        // The shell may tell of the child that the same signal has ended.
        #expect(kind.cause == .outOfTime(seconds: 0.3) && kind.output.hasSuffix("bye"))
        let deaf = run("trap '' TERM; while :; do sleep 0.02; done", seconds: 0.2, grace: 0.2)
        #expect(deaf.cause == .outOfTime(seconds: 0.2))
    }

    @Test("that end well when they are told to have ended well")
    func orderly() {
        let end = run("trap 'exit 0' TERM; while :; do sleep 0.02; done", seconds: 0.2)
        #expect(end.cause == .exited(0))
    }

    @Test("take their children with them: no child holds up the end, or outlives it")
    func children() throws {
        let end = run("sleep 1000 & echo $!; exit 0", seconds: 60)
        #expect(end.cause == .exited(0))
        let child = try #require(pid_t(end.output))
        try until { kill(child, 0) != 0 || Self.isZombie(child) }
        let late = run("sleep 1000 & echo $!; wait", seconds: 0.3)
        #expect(late.cause == .outOfTime(seconds: 0.3))
        let other = try #require(pid_t(late.output))
        try until { kill(other, 0) != 0 || Self.isZombie(other) }
    }

    /// Nobody may be there to wait for an orphan.
    private static func isZombie(_ pid: pid_t) -> Bool {
        guard let file = fopen("/proc/\(pid)/stat", "r") else { return true }
        defer { fclose(file) }
        var line = [CChar](repeating: 0, count: 256)
        fgets(&line, 256, file)
        let text = String(decoding: line.map { UInt8(bitPattern: $0) }, as: UTF8.self)
        return text.contains(") Z")
    }

    private func until(_ isSo: () -> Bool) throws {
        let clock = SystemClock()
        let deadline = clock.monotonic() + 20
        while !isSo() {
            try #require(clock.monotonic() < deadline, "it did not come about")
            sched_yield()
        }
    }

    @Test("killed by somebody else say so")
    func killed() { #expect(run("kill -9 $$").cause == .killed(signal: 9)) }

    @Test("stop with maild")
    func stop() throws {
        var ends: [CInt] = [-1, -1]
        try #require(pipe(&ends) == 0)
        close(ends[1])
        #expect(run("sleep 1000", stop: ends[0]).cause == .stopped)
        close(ends[0])
    }

    @Test("that cannot be started are told by the system's words")
    func unstarted() {
        let program = Program(command: ["/nonexistent"], environment: [], directory: "/", secondsMax: 1)
        let end = UnsafeRawBufferPointer(start: nil, count: 0)
        #expect(
            program.run(input: end, stop: -1).cause
                == .unstarted("/nonexistent cannot be started: No such file or directory"))
        var elsewhere = Program(command: ["/bin/true"], environment: [], directory: "/nonexistent", secondsMax: 1)
        #expect(elsewhere.run(input: end, stop: -1).cause != .exited(0))
        elsewhere.directory = "/"
        #expect(elsewhere.run(input: end, stop: -1).cause == .exited(0))
    }

    @Test("have three descriptors, no blocked signal, a group of their own and the environment they were given")
    func surroundings() throws {
        // One that was opened without close-on-exec, as some library might.
        let leak = open("/dev/null", O_RDONLY)
        defer { close(leak) }
        #expect(run("ls /proc/self/fd | wc -l").output == "4", "0, 1, 2 and that of ls itself")
        // 32 and 33 are the C library's own, and who started the test may have left them so.
        let signals = run("sed -nE 's/Sig(Blk|Ign):.//p' /proc/self/status").output.split(separator: " ")
        let masks = signals.compactMap { UInt64($0, radix: 16) }.map { $0 & ~(3 << 31) }
        #expect(masks == [0, 0])
        let group = run("cut -d' ' -f5 /proc/$$/stat; echo $$").output.split(separator: " ")
        #expect(group.count == 2 && group[0] == group[1])
        #expect(run("env", environment: ["A=b c"]).output.contains("A=b c"))
        #expect(try #require(Int(run("ulimit -Sn").output)) <= 1024)
    }
}
