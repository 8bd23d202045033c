// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailWire

/// `mailctl check`: what each step came to, and whether the relay would take mail.
package struct CheckPage {
    private let reply: JSONValue

    init(_ reply: JSONValue) { self.reply = reply }

    func show(on screen: inout Screen) throws(Failure) {
        let text = { (key: String) in Printable.text(reply[key]?.string ?? "?") }
        try screen.line("\(text("name")), \(text("transport")) at \(text("address"))")
        for finding in reply["findings"]?.array ?? [] {
            let isOK = finding["ok"]?.bool ?? false
            let step = Printable.text(finding["step"]?.string ?? "?")
            let mark = screen.terminal.styled(isOK ? "ok    " : "failed", isOK ? .green : .red)
            let words = Printable.text(finding["text"]?.string ?? "")
            try screen.line("\(step)\(String(repeating: " ", count: max(0, 8 - step.count)))  \(mark)  \(words)")
        }
        let extensions = (reply["extensions"]?.array ?? []).compactMap(\.string).map(Printable.text)
        if !extensions.isEmpty { try screen.line("offers            \(extensions.joined(separator: ", "))") }
        let isOK = reply["ok"]?.bool == true
        let way = reply["tls"]?.string.map { "by \(Printable.text($0))" } ?? "in clear"
        try screen.line("\(text("name")) \(isOK ? "would take mail \(way)" : "takes no mail")")
    }

    /// By the step that failed; nil where none did.
    package static func status(of reply: JSONValue) -> Sysexit? {
        guard reply["ok"]?.bool != true else { return nil }
        let failed = (reply["findings"]?.array ?? []).last { $0["ok"]?.bool == false }
        return switch failed?["step"]?.string {
        case "tls": .protocolError
        case "login": .noPermission
        default: .unavailable
        }
    }
}
