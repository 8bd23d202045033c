// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailTransport
import NIOCore
import Testing

@Suite("Sessions from files")
struct DialogueFileTests {
    static let folder = #filePath.split(separator: "/").dropLast().map { "/" + $0 }.joined() + "/Dialogues"

    static var names: [String] { TemporaryDirectory.list(folder).filter { $0.hasSuffix(".smtp") } }

    @Test("there are sessions to play")
    func some() { #expect(Self.names.count >= 10) }

    @Test("the session goes as the file has it", arguments: names)
    func play(name: String) throws {
        let text = try #require(TemporaryDirectory.read("\(Self.folder)/\(name)"))
        var player = SessionPlayer()
        for (number, line) in text.split(separator: "\n", omittingEmptySubsequences: false).enumerated() {
            player.play(String(line), at: number + 1)
        }
        player.finish()
        #expect(player.complaints == [])
        #expect(player.stepCount > 2)
    }
}
