// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import Glibc
import MailIntake
import MailWire
import TestSupport
import Testing

/// The read end of a pipe tells when maild, which was passed the other, has closed it.
@Suite("Descriptors that nobody names, or waits for", .timeLimit(.minutes(1)), .serialized)
struct ForgottenFilesTests {
    /// Passes a pipe's end with the text.
    private func pass(_ text: String, _ client: Client) -> PassedFile {
        let (read, write) = PassedFile.pipe()
        client.write(text, passing: [write])
        return read
    }

    @Test(
        "they are closed with the line that they came with",
        arguments: [
            job(1, attaching: []), "nonsense\n", "\n", " \r\n", "[]\n", #"{"type":"none"}"# + "\n",
            job(1, attaching: [#""fd":7"#]), job(1, attaching: [#""fd":0"#]),
            String(repeating: "x", count: 2000) + "\n",
        ])
    func unnamed(text: String) async throws {
        let door = try await Door { $0.lineBytesMax = 1000 }
        let client = try door.client()
        #expect(pass(text, client).otherEndIsClosed)
        client.write(job(2, attaching: []))
        client.finish()
        #expect(client.answers().last?["ref"]?.string == "2")
    }

    @Test("those of a line that is never whole are closed with its connection")
    func cut() async throws {
        let door = try await Door()
        var client: Client? = try door.client()
        let end = try pass(#"{"ref":"#, #require(client))
        client = nil
        #expect(end.otherEndIsClosed)
    }

    @Test("those of a line that stops in the middle are closed with its time")
    func stops() async throws {
        let door = try await Door { $0.lineSecondsMax = 0.2 }
        let client = try door.client()
        let end = pass(#"{"ref":"#, client)
        #expect(client.answer()?["error"]?.string == "timeout")
        #expect(end.otherEndIsClosed)
    }

    @Test("more than a user may have open are closed, and the line that names them may be sent again")
    func tooMany() async throws {
        let door = try await Door(fileThreads: FileThreads(descriptorsPerUserMax: 20))
        let holder = try door.client()
        let file = PassedFile([1, 2, 3])
        let many = [PassedFile](repeating: file, count: 10)
        for part in [#"{"ref":"1""#, #","to":"a@example.com""#] { holder.write(part, passing: many) }
        // The holder's are read by then: the loop reads each connection in its turn.
        let other = try door.client()
        for _ in 0..<50 {
            other.write("{}\n")
            _ = other.answer()
        }
        other.write(job(2, attaching: [#""fd":9"#]), passing: many)
        let answer = other.answer()
        #expect(answer?["error"]?.string == "quota_exceeded" && answer?["field"]?.string == "attachments[0].fd")
        #expect(answer?["retryable"]?.bool == true)
        holder.write(#","from":"b@example.com","attachments":[{"name":"a","fd":19}]}"# + "\n")
        #expect(try await door.line(of: holder.answer())?.contains(data([1, 2, 3])) == true)
        other.write(job(3, attaching: [#""fd":9"#]), passing: many)
        #expect(other.answer()?["ref"]?.string == "3")
    }

    /// Whoever asks for a file of this user waits, until the continuation is called.
    private func hold(_ door: Door) async -> Watched<Bool> {
        let (isHeld, isFree) = (Watched(false), Watched(false))
        door.intake.fileThreads.run(for: getuid()) {
            isHeld.change { $0 = true }
            let turn = DispatchTurn()
            Task {
                _ = try? await isFree.until { $0 }
                turn.pass()
            }
            turn.wait()
        }
        _ = try? await isHeld.until { $0 }
        return isFree
    }

    @Test("a file that cannot be read in the line's time costs its connection, and nobody else")
    func timeout() async throws {
        // Room for one large line at a time.
        let door = try await Door {
            $0.lineSecondsMax = 0.2
            $0.lineBytesMax = 1 << 20
            $0.readingBytesMax = 1 << 20
        }
        let isFree = await hold(door)
        let client = try door.client()
        client.write(job(1, attaching: [#""fd":0"#]), passing: [PassedFile([1])])
        client.write(job(2, attaching: []))
        let other = try door.client()
        other.write(job(3, attaching: []))
        #expect(other.answer()?["ref"]?.string == "3")
        #expect(client.answers().map { $0["error"]?.string } == ["timeout"])
        // The thread is still held, but what waited for it holds nothing.
        other.write(job(4, attaching: [], content: String(repeating: "c", count: 200_000)))
        #expect(other.answer()?["ref"]?.string == "4")
        isFree.change { $0 = true }
    }

    @Test("a drain answers a line whose file is still read, and a client that is gone is none's trouble")
    func drain() async throws {
        let door = try await Door()
        let isFree = await hold(door)
        let client = try door.client()
        client.write(job(1, attaching: [#""fd":0"#]), passing: [PassedFile([1])])
        var gone: Client? = try door.client()
        gone?.write(job(2, attaching: [#""fd":0"#]), passing: [PassedFile([1])])
        gone = nil
        let done = door.drain()
        #expect(client.answers().map { $0["error"]?.string } == ["draining"])
        try await done.until { $0 }
        isFree.change { $0 = true }
        #expect(gone == nil && door.spool.tally.ready == 0)
    }

    @Test("the lines behind wait for their turn, also those that came with the end of the input")
    func behind() async throws {
        let door = try await Door()
        let isFree = await hold(door)
        let client = try door.client()
        client.write(job(1, attaching: [#""fd":0"#]), passing: [PassedFile([1])])
        client.write(job(2, attaching: []) + job(3, attaching: [#""fd":0"#]), passing: [PassedFile([1])])
        client.write(String(job(4, attaching: []).dropLast()))
        client.finish()
        #expect(client.isSilent(milliseconds: 50))
        isFree.change { $0 = true }
        #expect(client.answers().map { $0["ref"]?.string } == ["1", "2", "3", "4"])
    }
}

/// A blocked thread, for a file system that does not answer.
private final class DispatchTurn: @unchecked Sendable {
    private var ends: [CInt] = [-1, -1]

    init() { pipe(&ends) }

    deinit { for end in ends { close(end) } }

    func pass() {
        var byte: UInt8 = 0
        write(ends[1], &byte, 1)
    }

    func wait() {
        var byte: UInt8 = 0
        read(ends[0], &byte, 1)
    }
}
