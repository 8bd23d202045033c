// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import CProcess
import MailJob

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

/// One run of a program, on a thread that waits for it: feeds it, listens to it, ends it when its time is up.
///
/// Whatever it does (reads nothing, writes without end, leaves children that hold its output open) costs no more than
/// its time, and a kilobyte of memory beside the input.
package struct Program: Sendable {
    package var command: [String]
    package var environment: [String]
    package var directory: String
    package var secondsMax: Double
    /// After SIGTERM; then SIGKILL.
    package var graceSeconds = 5.0

    package init(command: [String], environment: [String], directory: String, secondsMax: Double) {
        self.command = command
        self.environment = environment
        self.directory = directory
        self.secondsMax = secondsMax
    }

    /// Blocks until the program has ended.
    /// - Parameters:
    ///   - input: for its standard input, which then ends. It need not read it.
    ///   - stop: a descriptor that becomes readable, or hangs up, when everything is to end.
    package func run(input: UnsafeRawBufferPointer, stop: CInt) -> ProgramEnd {
        var process = process()
        let code = start(&process)
        guard code == 0 else {
            let words = "\(command.first ?? "it") cannot be started: \(Connector.errorText(code))"
            return ProgramEnd(.unstarted(words))
        }
        var run = ProgramRun(process, input: input, secondsMax: secondsMax, graceSeconds: graceSeconds)
        return run.wait(stop: stop)
    }

    private func start(_ process: inout process) -> CInt {
        Self.withStrings(command) { arguments in
            Self.withStrings(environment) { environment in
                process_start(command.first ?? "", arguments, environment, directory, &process)
            }
        }
    }

    /// C's form: pointers to strings, a null pointer last.
    private static func withStrings<Value>(
        _ strings: [String], _ body: (UnsafePointer<UnsafeMutablePointer<CChar>?>?) -> Value
    ) -> Value {
        var pointers: [UnsafeMutablePointer<CChar>?] = strings.map { strdup($0) } + [nil]
        defer { for pointer in pointers { free(pointer) } }
        return pointers.withUnsafeMutableBufferPointer { body(UnsafePointer($0.baseAddress)) }
    }
}

/// A program that runs.
private struct ProgramRun {
    /// What is read at a time.
    private static let readBytes = 64 << 10

    private var process: process
    private var input: UnsafeRawBufferPointer
    private var offset = 0
    /// The last of what it wrote: a message about a failure comes at the end.
    private var output: [UInt8] = []
    private var isCut = false
    private var cause: ProgramEnd.Cause?
    private var deadline: Double
    private let secondsMax: Double
    private let graceSeconds: Double

    init(_ process: process, input: UnsafeRawBufferPointer, secondsMax: Double, graceSeconds: Double) {
        self.process = process
        self.input = input
        self.secondsMax = secondsMax
        self.graceSeconds = graceSeconds
        deadline = Self.now() + secondsMax
    }

    private static func now() -> Double { SystemClock().monotonic() }

    mutating func wait(stop: CInt) -> ProgramEnd {
        while process_has_ended(process.pid) == 0 {
            var watched = [
                pollfd(fd: process.ended, events: Int16(POLLIN), revents: 0),
                pollfd(fd: process.output, events: Int16(POLLIN), revents: 0),
                pollfd(fd: process.input, events: Int16(POLLOUT), revents: 0),
                // Once we have begun to end it there is nothing more to be told.
                pollfd(fd: cause == nil ? stop : -1, events: Int16(POLLIN), revents: 0),
            ]
            let left = max(0, min(deadline - Self.now(), 3600))
            // A signal interrupts it: then once more around.
            _ = poll(&watched, nfds_t(watched.count), CInt((left * 1000).rounded(.up)))
            if watched[1].revents != 0 { read() }
            if watched[2].revents != 0 { write() }
            if watched[3].revents != 0 { end(.stopped) }
            if Self.now() >= deadline { timeIsUp() }
        }
        return finish()
    }

    // MARK: Feeding and listening

    private mutating func write() {
        while process.input >= 0 {
            guard offset < input.count else { return closeInput() }
            let rest = UnsafeRawBufferPointer(rebasing: input[offset...])
            let count = Glibc.write(process.input, rest.baseAddress, rest.count)
            if count > 0 {
                offset += count
            } else if errno == EAGAIN {
                return
            } else if errno != EINTR {
                // EPIPE: it has read what it wanted, which is its own business.
                return closeInput()
            }
        }
    }

    private mutating func closeInput() {
        close(process.input)
        process.input = -1
    }

    private mutating func read() {
        var bytes = [UInt8](repeating: 0, count: Self.readBytes)
        while process.output >= 0 {
            let count = Glibc.read(process.output, &bytes, bytes.count)
            if count > 0 {
                keep(bytes[..<count])
                // One that writes without end must not keep us from looking at the clock.
                if count == bytes.count { return }
            } else if count < 0, errno == EINTR {
                continue
            } else {
                if count == 0 { closeOutput() }
                return
            }
        }
    }

    private mutating func closeOutput() {
        close(process.output)
        process.output = -1
    }

    private mutating func keep(_ bytes: ArraySlice<UInt8>) {
        // Twice of what is kept: runs of blanks become one, and the first character may be torn.
        let room = 2 * Limits.keptTextBytesMax
        output += bytes.suffix(room)
        let excess = output.count - room
        isCut = isCut || excess > 0 || bytes.count > room
        if excess > 0 { output.removeFirst(excess) }
    }

    // MARK: The end

    private mutating func timeIsUp() {
        if cause == nil { return end(.outOfTime(seconds: secondsMax)) }
        kill(-process.pid, SIGKILL)
        deadline = .infinity
    }

    private mutating func end(_ cause: ProgramEnd.Cause) {
        self.cause = cause
        kill(-process.pid, SIGTERM)
        deadline = Self.now() + graceSeconds
    }

    private mutating func finish() -> ProgramEnd {
        // While it is a zombie its number is still its group's alone: what it has left behind ends with it.
        kill(-process.pid, SIGKILL)
        read()
        if process.output >= 0 { closeOutput() }
        if process.input >= 0 { closeInput() }
        close(process.ended)
        var status: CInt = 0
        while waitpid(process.pid, &status, 0) < 0, errno == EINTR {}
        let signal = Int(status & 0x7F)
        let exit: ProgramEnd.Cause = signal == 0 ? .exited(Int(status >> 8 & 0xFF)) : .killed(signal: signal)
        return ProgramEnd(cause(exit), output: said)
    }

    private var said: String {
        let text = KeptText.line(output, keeping: .end)
        return isCut && !text.hasPrefix("…") ? "…\(text)" : text
    }

    /// One that ends well when it is told to, or just in time, has ended by itself.
    private func cause(_ exit: ProgramEnd.Cause) -> ProgramEnd.Cause {
        if case .exited(0) = exit { return exit }
        return cause ?? exit
    }
}
