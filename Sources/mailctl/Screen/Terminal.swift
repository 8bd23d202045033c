// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

/// What standard output is.
struct Terminal {
    let isTerminal: Bool
    /// Columns; nil where the output is no terminal and nothing needs to be cut to fit.
    let width: Int?
    let hasColors: Bool

    static func standardOutput() -> Terminal {
        let isTerminal = isatty(STDOUT_FILENO) == 1
        return Terminal(
            isTerminal: isTerminal, width: isTerminal ? columns() : nil,
            // https://no-color.org: set and not empty means no colours.
            hasColors: isTerminal && Environment.value("NO_COLOR") == nil && Environment.value("TERM") != "dumb")
    }

    private static func columns() -> Int {
        var size = winsize()
        if ioctl(STDOUT_FILENO, UInt(TIOCGWINSZ), &size) == 0, size.ws_col > 0 { return Int(size.ws_col) }
        return Environment.value("COLUMNS").flatMap { Int($0) } ?? 80
    }

    enum Style: String {
        case bold = "1"
        case dim = "2"
        case red = "31"
        case green = "32"
        case yellow = "33"
        case cyan = "36"
    }

    func styled(_ text: String, _ style: Style?) -> String {
        guard hasColors, let style, !text.isEmpty else { return text }
        return "\u{1B}[\(style.rawValue)m\(text)\u{1B}[0m"
    }
}
