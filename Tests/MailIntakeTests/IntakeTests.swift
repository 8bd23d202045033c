// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import Dispatch
import MailIntake
import MailJob
import MailSpool
import MailWire
import Testing

/// A job; `content` long enough for a line of about `bytes`.
private func job(_ ref: Int, more: String = "", bytes: Int = 0) -> String {
    let content = String(repeating: "x", count: max(0, bytes - 80))
    return #"{"ref":"\#(ref)",\#(more)"to":"a@example.com","from":"b@example.com","content":"\#(content)"}"# + "\n"
}

@Suite("The submission socket", .timeLimit(.minutes(1)), .serialized)
struct IntakeTests {
    @Test("a thousand lines are answered in their order, a bad one among them")
    func thousand() async throws {
        let door = try await Door()
        let client = try door.client()
        let lines = (0..<1000).map { $0 == 500 ? #"{"ref":"500","to":5}"# + "\n" : job($0) }
        client.write(lines.joined())
        client.finish()
        let answers = client.answers()
        #expect(answers.map { $0["ref"]?.string } == (0..<1000).map { String($0) })
        #expect(answers.filter { $0["error"] != nil }.map { $0["field"]?.string } == ["to"])
        let ids = answers.compactMap { $0["job"]?.string }
        #expect(ids.count == 999 && ids == ids.sorted() && Set(ids).count == 999)
        #expect(door.spool.tally.ready == 999)
    }

    @Test("blank lines are not answered, and a last line needs no newline")
    func lastLine() async throws {
        let door = try await Door()
        let client = try door.client()
        client.write("\n \r\n" + job(1) + "\r\n\t\n" + job(2).dropLast())
        client.finish()
        #expect(client.answers().map { $0["ref"]?.string } == ["1", "2"])
    }

    @Test("a job that is to go later is scheduled")
    func scheduled() async throws {
        let door = try await Door()
        let client = try door.client()
        client.write(job(1, more: #""delay":60,"#) + job(2))
        #expect(client.answer()?["state"]?.string == "scheduled")
        #expect(client.answer()?["state"]?.string == "ready")
        #expect(door.spool.tally.scheduled == 1)
    }

    @Test("jobs for which the spool has no room are refused in their places, between errors and kept ones")
    func full() async throws {
        var limits = SpoolLimits()
        limits.jobsMax = 2
        let door = try await Door(limits: limits)
        let client = try door.client()
        client.write("{}\n" + job(1) + "[]\n" + job(2) + job(3) + "x\n" + job(4) + "y\n")
        client.finish()
        let answers = client.answers()
        #expect(
            answers.map { $0["error"]?.string ?? $0["state"]?.string } == [
                "invalid_job", "ready", "parse_error", "ready", "queue_full", "parse_error", "queue_full",
                "parse_error",
            ])
        #expect(answers.map { $0["ref"]?.string } == [nil, "1", nil, "2", "3", nil, "4", nil])
        #expect(answers[4]["retry_after"]?.int != nil && answers[4]["retryable"]?.bool == true)
    }

    @Test("a line over the limit is told once and skipped; the next is taken", arguments: [1, 7, 100_000])
    func tooLong(part: Int) async throws {
        let door = try await Door { $0.lineBytesMax = 500 }
        let client = try door.client()
        let text = job(1) + job(2, bytes: 3000) + job(3)
        var rest = Substring(text)
        while !rest.isEmpty {
            client.write(String(rest.prefix(part)))
            rest = rest.dropFirst(part)
        }
        client.finish()
        let answers = client.answers()
        #expect(answers.map { $0["error"]?.string ?? $0["ref"]?.string } == ["1", "line_too_long", "3"])
    }

    @Test("an object with over 64 members, or nested over 64 deep, costs no other line")
    func overJSONLimits() async throws {
        let door = try await Door()
        let client = try door.client()
        let members = (0...64).map { #""k\#($0)":1"# }.joined(separator: ",")
        let deep = String(repeating: "[", count: 65) + String(repeating: "]", count: 65)
        client.write("{" + members + "}\n" + #"{"to":"# + deep + "}\n" + job(1))
        client.finish()
        #expect(client.answers().map { $0["error"]?.string } == ["parse_error", "parse_error", nil])
    }

    @Test("a line that stops in the middle is answered timeout, and the connection ends")
    func midLine() async throws {
        let door = try await Door { $0.lineSecondsMax = 0.05 }
        let client = try door.client()
        client.write(job(1) + #"{"to":"#)
        let answers = client.answers()
        #expect(answers.map { $0["error"]?.string ?? $0["ref"]?.string } == ["1", "timeout"])
    }

    @Test("silence between lines is not timed")
    func silence() async throws {
        let door = try await Door { $0.lineSecondsMax = 0.05 }
        let silent = try door.client()
        silent.write(#"{"ref":"# + job(1).dropFirst(7))
        #expect(silent.answer()?["ref"]?.string == "1")
        let slow = try door.client()
        slow.write("{")
        #expect(slow.answers().count == 1)
        silent.write(job(2))
        #expect(silent.answer()?["ref"]?.string == "2")
    }

    @Test("one connection too many of a user is answered quota_exceeded and closed; when one is gone there is room")
    func quota() async throws {
        let door = try await Door { $0.connectionsPerUserMax = 2 }
        var first: Client? = try door.client()
        let second = try door.client()
        for client in [first, second] {
            client?.write(job(1))
            #expect(client?.answer()?["job"] != nil)
        }
        let third = try door.client()
        #expect(third.answers().map { $0["error"]?.string } == ["quota_exceeded"])
        first = nil
        var isServed = false
        for _ in 0..<1000 where !isServed {
            let client = try door.client()
            client.write(job(2))
            isServed = client.answer()?["job"] != nil
        }
        #expect(isServed)
        second.write(job(3))
        #expect(second.answer()?["ref"]?.string == "3")
    }

    @Test("over the limit of connections, a client waits in the socket until one has gone")
    func gate() async throws {
        let door = try await Door { $0.connectionsMax = 2 }
        var clients = [try door.client(), try door.client()]
        for client in clients {
            client.write(job(1))
            #expect(client.answer()?["job"] != nil)
        }
        let third = try door.client()
        third.write(job(3))
        #expect(third.isSilent(milliseconds: 100))
        #expect(door.intake.connections == 2)
        clients.removeFirst()
        #expect(third.answer()?["ref"]?.string == "3")
    }

    @Test("a reload that allows more connections lets those in who wait")
    func gateOpensAtReload() async throws {
        let door = try await Door { $0.connectionsMax = 1 }
        let first = try door.client()
        first.write(job(1))
        #expect(first.answer()?["job"] != nil)
        let second = try door.client()
        second.write(job(2))
        #expect(second.isSilent(milliseconds: 50))
        let intake = door.intake
        try await intake.loop.submit { intake.apply(IntakeSettings(), schemas: [EmailSchema()]) }.get()
        #expect(second.answer()?["ref"]?.string == "2")
    }

    @Test("who reads no answers is read no further, others are served, and no answer is lost once it reads")
    func neverReads() async throws {
        let door = try await Door { $0.unansweredLinesMax = 64 }
        let client = try door.client()
        let line = "{\"ref\":\"\(String(repeating: "r", count: 200))\",\"nonsense\":1}\n"
        let (lines, rest) = client.writeUntilStuck(line, linesMax: 100_000)
        #expect(lines < 20_000)
        let other = try door.client()
        other.write(job(1))
        #expect(other.answer()?["ref"]?.string == "1")
        // What is in the sockets' buffers is still answered.
        let writer = DispatchQueue.global()
        writer.async {
            client.write(rest)
            client.finish()
        }
        #expect(client.answers().count == lines + (rest.isEmpty ? 0 : 1))
    }

    @Test("who closes its side before it reads gets all answers, however many")
    func closesThenReads() async throws {
        let door = try await Door()
        let client = try door.client()
        let line = "{\"ref\":\"\(String(repeating: "r", count: 200))\",\"nonsense\":1}\n"
        let (lines, rest) = client.writeUntilStuck(line, linesMax: 100_000)
        client.finish()
        #expect(client.answers().count == lines + (rest.isEmpty ? 0 : 1))
    }

    @Test("a client that is gone before its answers costs nothing but itself")
    func gone() async throws {
        let door = try await Door()
        for number in 0..<20 {
            let client = try door.client()
            client.write(job(number) + job(number) + #"{"to"#)
        }
        let other = try door.client()
        other.write(job(1))
        #expect(other.answer()?["ref"]?.string == "1")
    }

    @Test("a drain answers draining, with the ref, ends the connection and is done")
    func drain() async throws {
        let door = try await Door()
        let client = try door.client()
        client.write(job(1))
        #expect(client.answer()?["job"] != nil)
        let done = door.drain()
        try await door.intake.loop.submit {}.get()
        client.write(job(2))
        let answers = client.answers()
        #expect(answers.map { $0["error"]?.string } == ["draining"])
        #expect(answers.first?["ref"]?.string == "2")
        try await done.until { $0 }
        #expect(door.intake.connections == 0)
        #expect(door.spool.tally.ready == 1)
    }

    @Test("a drain without clients is done")
    func drainEmpty() async throws {
        let door = try await Door()
        try await door.drain().until { $0 }
    }
}
