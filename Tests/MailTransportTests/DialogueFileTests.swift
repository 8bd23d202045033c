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
    func some() { #expect(Self.names.count >= 100) }

    @Test("in every state there is a server that falls silent, one that hangs up, and one that is shutting down")
    func states() {
        let names = Set(Self.names)
        // The message itself is written by the connection, a block at a time: PatienceTests and DialogueDeathTests.
        for stage in SMTPStage.allCases where stage != .body {
            #expect(names.contains("silent-\(stage.rawValue).smtp"))
            #expect(names.contains("lost-\(stage.rawValue).smtp"))
            // A handshake is no reply, and whoever says goodbye is gone anyway.
            if stage != .handshake { #expect(names.contains("421-\(stage.rawValue).smtp")) }
        }
    }

    @Test("each command is refused for now and for good")
    func refusals() {
        let names = Set(Self.names)
        for stage in SMTPStage.allCases where ![.body, .handshake].contains(stage) {
            for digit in [4, 5] { #expect(names.contains("\(digit)yz-\(stage.rawValue).smtp")) }
        }
    }

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
