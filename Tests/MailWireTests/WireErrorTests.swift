// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailWire
import Testing

@Suite struct WireErrorTests {
    @Test("the names are those of docs/protocol.md, in its order")
    func names() throws {
        let page = projectFile("docs/protocol.md")
        let start = try #require(page.range(of: "| error | meaning |"))
        let rows = page[start...].split(separator: "\n").dropFirst(2).prefix { $0.hasPrefix("| `") }
        let names = rows.map { $0.dropFirst(3).prefix { $0 != "`" } }
        #expect(names.map(String.init) == WireErrorName.allCases.map(\.rawValue))
    }

    @Test("docs/protocol.md shows the control interface as it is served")
    func controlInterface() {
        #expect(projectFile("docs/protocol.md").contains("```varlink\n\(ControlInterface.description)```\n"))
    }

    static let answers: [(WireError, String)] = [
        (
            WireError(.invalidJob, #"to: "a@" has no domain"#, field: "to", ref: Array(#""order-17""#.utf8)),
            #"{"error":"invalid_job","message":"to: \"a@\" has no domain","field":"to","retryable":false,"ref":"order-17"}"#
        ),
        (
            WireError(.queueFull, "the spool is full", retryAfter: 30),
            #"{"error":"queue_full","message":"the spool is full","retryable":true,"retry_after":30}"#
        ),
        (
            WireError(.internal, "a bug", retryable: true),
            #"{"error":"internal","message":"a bug","retryable":true}"#
        ),
        (
            WireError(JSONError(offset: 17, reason: "expected a colon")),
            #"{"error":"parse_error","message":"byte 17: expected a colon","retryable":false}"#
        ),
    ]

    @Test("an answer is one line, and is read as the same error", arguments: answers)
    func answer(_ error: WireError, _ text: String) throws {
        var line: [UInt8] = []
        error.write(to: &line)
        #expect(String(decoding: line, as: UTF8.self) == text + "\n")
        #expect(WireError(answer: try JSONValue(parsing: line)) == error)
    }

    @Test("an answer that is no error is none")
    func noError() {
        #expect(WireError(answer: ["job": "0G2Q5X7J1C0A4", "state": "ready"]) == nil)
        #expect(WireError(answer: ["error": "strange"]) == nil)
    }

    @Test("what may be tried again exits 75, what must be mended 65, our bug 70")
    func exitCodes() {
        for name in WireErrorName.allCases {
            let known: [WireErrorName: Int32] = [.internal: 70, .permissionDenied: 77]
            let expected = known[name] ?? (name.retryable ? 75 : 65)
            #expect(name.exitCode == expected)
        }
        let retryable: [WireErrorName] = [.quotaExceeded, .queueFull, .readOnly, .draining, .timeout]
        #expect(WireErrorName.allCases.filter(\.retryable) == retryable)
    }
}

extension String {
    /// The standard library finds substrings only by Collection's search, which needs no Foundation.
    fileprivate func range(of text: String) -> String.Index? {
        indices.first { self[$0...].hasPrefix(text) }
    }
}
