// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import Dispatch
import MailIntake
import MailJob
import MailWire
import TestSupport
import Testing

/// Too long to come whole in one read and what was held before it.
private func large(_ ref: Int, bytes: Int = 900_000) -> String {
    let content = String(repeating: "x", count: bytes)
    return #"{"ref":"\#(ref)","to":"a@example.com","from":"b@example.com","content":"\#(content)"}"# + "\n"
}

@Suite("Large lines with little memory for them", .timeLimit(.minutes(1)), .serialized)
struct LargeLinesTests {
    /// Room for one large line at a time.
    private func door() async throws -> Door {
        try await Door {
            $0.lineBytesMax = 1 << 20
            $0.readingBytesMax = 1 << 20
            $0.unansweredBytesMax = 100_000
        }
    }

    @Test("many connections with many large lines all get through")
    func many() async throws {
        let door = try await door()
        let done = Watched<[[String?]]>([])
        for _ in 0..<8 {
            let client = try door.client()
            DispatchQueue.global().async {
                for number in 0..<4 { client.write(large(number)) }
                client.finish()
                let refs = client.answers().map { $0["ref"]?.string }
                done.change { $0.append(refs) }
            }
        }
        let all = try await done.until { $0.count == 8 }
        #expect(all.allSatisfy { $0 == ["0", "1", "2", "3"] })
        #expect(door.spool.tally.ready == 32)
    }

    /// The loop reads some of what each client has written, at least 4 KiB, for each answer that it gives.
    private func ticks(_ door: Door) throws {
        let other = try door.client()
        for _ in 0..<50 {
            other.write("{}\n")
            #expect(other.answer()?["error"] != nil)
        }
    }

    /// The only share is in the hands of the client that is returned; the line is not whole.
    private func holder(_ door: Door) throws -> (client: Client, rest: String) {
        let client = try door.client()
        let line = large(1)
        // As much as fits the socket, so that it is written whether it is read or not.
        let part = 120_000
        client.write(String(line.prefix(part)))
        try ticks(door)
        return (client, String(line.dropFirst(part)))
    }

    @Test("small lines need no share")
    func small() async throws {
        let door = try await door()
        let (holder, rest) = try holder(door)
        let small = try door.client()
        small.write(large(7, bytes: 100))
        #expect(small.answer()?["ref"]?.string == "7")
        holder.write(rest)
        #expect(holder.answer()?["ref"]?.string == "1")
    }

    @Test("a share goes on to the next where its holder, or one who waits, hangs up", arguments: [true, false])
    func hangUp(whoWaits: Bool) async throws {
        let door = try await door()
        var holder: Client? = try holder(door).client
        var second: Client? = try self.holder(door).client
        let third = try door.client()
        DispatchQueue.global().async { third.write(large(3)) }
        #expect(third.isSilent(milliseconds: 50))
        if whoWaits {
            second = nil
            holder = nil
        } else {
            holder = nil
            second = nil
        }
        #expect(third.answer()?["ref"]?.string == "3")
        #expect(holder == nil && second == nil)
    }

    @Test("a long line of blanks, which is no job, gives its share back")
    func blanks() async throws {
        let door = try await door()
        let blank = try door.client()
        blank.write(String(repeating: " ", count: 150_000))
        try ticks(door)
        blank.write("\n")
        let other = try door.client()
        other.write(large(2))
        #expect(other.answer()?["ref"]?.string == "2")
        blank.write(large(3, bytes: 10))
        #expect(blank.answer()?["ref"]?.string == "3")
    }

    @Test("a large line that stops in the middle loses its share with its time")
    func stops() async throws {
        let door = try await Door {
            $0.lineBytesMax = 1 << 20
            $0.readingBytesMax = 1 << 20
            $0.lineSecondsMax = 0.3
        }
        let (holder, _) = try holder(door)
        let other = try door.client()
        DispatchQueue.global().async { other.write(large(2)) }
        #expect(holder.answers().map { $0["error"]?.string } == ["timeout"])
        #expect(other.answer()?["ref"]?.string == "2")
    }

    @Test("who holds a share and reads no answers does not keep it from the others")
    func holdsAndNeverReads() async throws {
        let door = try await Door {
            $0.lineBytesMax = 1 << 20
            $0.readingBytesMax = 1 << 20
            $0.lineSecondsMax = 0.3
        }
        let client = try door.client()
        let line = "{\"ref\":\"\(String(repeating: "r", count: 200))\",\"nonsense\":1}\n"
        // As many answers as fill the sockets, and at once the beginning of a large line.
        let text = String(repeating: line, count: 100) + String(large(1).prefix(120_000)) + "\n"
        _ = client.writeUntilStuck(text, linesMax: 100)
        let other = try door.client()
        other.write(large(2))
        #expect(other.answer()?["ref"]?.string == "2")
    }
}
