// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import Glibc
import MailWire
import Testing

@Suite("The contract")
struct ContractTests {
    @Test("docs/protocol.md shows the interface as the daemon describes it")
    func description() throws {
        let root = #filePath.split(separator: "/", omittingEmptySubsequences: false).dropLast(3).joined(separator: "/")
        let text = try #require(Self.read(root + "/docs/protocol.md"))
        let begin = "```varlink\n"
        let part = text.part(after: begin, before: "```")
        #expect(part == ControlInterface.description)
    }

    private static func read(_ path: String) -> String? {
        guard let file = fopen(path, "r") else { return nil }
        defer { fclose(file) }
        var bytes = [UInt8](repeating: 0, count: 1 << 20)
        let count = fread(&bytes, 1, bytes.count, file)
        return String(decoding: bytes[..<count], as: UTF8.self)
    }
}

extension String {
    /// What stands between the first `begin` and the next `end`.
    fileprivate func part(after begin: String, before end: String) -> String? {
        guard let start = firstRange(of: begin)?.upperBound else { return nil }
        let rest = self[start...]
        guard let stop = rest.firstRange(of: end)?.lowerBound else { return nil }
        return String(rest[..<stop])
    }
}
