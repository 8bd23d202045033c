// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

/// A terminal taken over for pages that replace each other, and given back as it was.
///
/// Signals are waited for and not caught: nothing runs in between, and the terminal is given back on every way out.
final class FullScreen {
    private var saved = termios()
    private let hasKeyboard: Bool
    private var isActive = false

    private static let enter = "\u{1B}[?1049h\u{1B}[?25l"
    private static let leave = "\u{1B}[?25h\u{1B}[?1049l"

    init() {
        var mask = Self.mask()
        sigprocmask(SIG_BLOCK, &mask, nil)
        hasKeyboard = tcgetattr(STDIN_FILENO, &saved) == 0
        take()
    }

    private static func mask() -> sigset_t {
        var mask = sigset_t()
        sigemptyset(&mask)
        for signal in [SIGINT, SIGTERM, SIGHUP, SIGWINCH, SIGTSTP, SIGCONT] { sigaddset(&mask, signal) }
        return mask
    }

    private func take() {
        isActive = true
        if hasKeyboard {
            var raw = saved
            raw.c_lflag &= ~tcflag_t(ICANON | ECHO)
            tcsetattr(STDIN_FILENO, TCSANOW, &raw)
        }
        _ = Descriptor.writeAll(STDOUT_FILENO, Array(Self.enter.utf8))
    }

    func leave() {
        guard isActive else { return }
        isActive = false
        _ = Descriptor.writeAll(STDOUT_FILENO, Array(Self.leave.utf8))
        if hasKeyboard { tcsetattr(STDIN_FILENO, TCSANOW, &saved) }
    }

    /// As many lines as there is room for, from the top; what was there before is gone.
    func show(_ lines: [String]) throws(Failure) {
        var text = "\u{1B}[H"
        for (index, line) in lines.prefix(Self.rows()).enumerated() {
            text += (index == 0 ? "" : "\n") + line + "\u{1B}[K"
        }
        text += "\u{1B}[J"
        let code = Descriptor.writeAll(STDOUT_FILENO, Array(text.utf8))
        guard code == 0 else { throw code == EPIPE ? .closedOutput : .system(.inputOutput, "standard output", code) }
    }

    private static func rows() -> Int {
        var size = winsize()
        return ioctl(STDOUT_FILENO, UInt(TIOCGWINSZ), &size) == 0 && size.ws_row > 0 ? Int(size.ws_row) : 24
    }

    /// Seconds after which a key is seen: nobody notices, and a page costs twenty looks at most.
    private static let keySeconds = 0.05

    /// Until the next page is due: true; false where somebody wants the end. A new size of the window is due at once.
    func waits(_ seconds: Double) -> Bool {
        let clock = Ticks()
        let end = clock.now + seconds
        while case let left = end - clock.now, left > 0 {
            if let signal = Self.nextSignal(within: min(left, Self.keySeconds)) { return goesOn(after: signal) }
            if hasKeyboard, !typed() { return false }
        }
        return true
    }

    private static func nextSignal(within seconds: Double) -> CInt? {
        var mask = mask()
        var info = siginfo_t()
        var time = timespec(tv_sec: 0, tv_nsec: Int(min(seconds, 0.999) * 1e9))
        let signal = sigtimedwait(&mask, &info, &time)
        return signal > 0 ? signal : nil
    }

    private func goesOn(after signal: CInt) -> Bool {
        switch signal {
        case SIGWINCH, SIGCONT: return true
        case SIGTSTP:
            leave()
            raise(SIGSTOP)
            take()
            return true
        default: return false
        }
    }

    /// False where a key asks for the end, or nobody is at the keyboard any more.
    private func typed() -> Bool {
        var keyboard = pollfd(fd: STDIN_FILENO, events: Int16(POLLIN), revents: 0)
        guard poll(&keyboard, 1, 0) > 0 else { return true }
        var key: UInt8 = 0
        guard read(STDIN_FILENO, &key, 1) == 1 else { return false }
        return key != UInt8(ascii: "q") && key != UInt8(ascii: "Q") && key != 4
    }
}
