// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import Dispatch
import Glibc
import MailIntake
import MailJob
import MailWire
import TestSupport
import Testing

private func bytes(_ count: Int, seed: Int = 0) -> [UInt8] {
    (0..<count).map { UInt8(truncatingIfNeeded: ($0 &+ seed) &* 131 >> 3) }
}

private let notANumber = "must be the number of a descriptor that came with the line, from 0, not"
private let notAFile = "must be a regular file or a memfd, not"

@Suite("Attachments by descriptor", .timeLimit(.minutes(1)), .serialized)
struct PassedFilesTests {
    @Test(
        "a line has the file's content as base64, whatever its length",
        arguments: [0, 1, 2, 3, 4, 49_151, 49_152, 49_153, 200_000])
    func content(count: Int) async throws {
        let door = try await Door()
        let client = try door.client()
        let content = bytes(count)
        client.write(job(1, attaching: [#""fd":0"#]), passing: [PassedFile(content)])
        #expect(try await door.line(of: client.answer()) == String(job(1, attaching: [data(content)]).dropLast()))
    }

    @Test("several descriptors, one of them twice, among data, and white space as it was")
    func several() async throws {
        let door = try await Door()
        let client = try door.client()
        let (first, second) = (bytes(100), bytes(50_000, seed: 1))
        let files = [PassedFile(first), PassedFile(second)]
        let places = [#""fd" : 1 , "cid":"x""#, data([1]), #""fd":0"#, #""fd":  1"#]
        let filled =
            [#""data" : "\#(Base64Text.encode(second))" , "cid":"x""#, data([1]), data(first)]
            + [#""data":  "\#(Base64Text.encode(second))""#]
        client.write(job(1, attaching: places), passing: files)
        #expect(try await door.line(of: client.answer()) == String(job(1, attaching: filled).dropLast()))
    }

    @Test("a file is read from its begin, and its offset is left alone")
    func offset() async throws {
        let door = try await Door()
        let client = try door.client()
        let file = PassedFile(bytes(1000))
        lseek(file.number, 400, SEEK_SET)
        client.write(job(1, attaching: [#""fd":0"#]), passing: [file])
        #expect(try await door.line(of: client.answer()) == String(job(1, attaching: [data(bytes(1000))]).dropLast()))
        #expect(lseek(file.number, 0, SEEK_CUR) == 400)
    }

    @Test("a repeat by descriptor of what came as base64 is known")
    func repeats() async throws {
        let door = try await Door()
        let client = try door.client()
        func keyed(_ attachment: String) -> String {
            #"{"idempotency_key":"k","# + job(1, attaching: [attachment]).dropFirst()
        }
        client.write(keyed(data(bytes(5000))))
        let first = client.answer()
        client.write(keyed(#""fd":0"#), passing: [PassedFile(bytes(5000))])
        let second = client.answer()
        #expect(second?["job"] == first?["job"] && second?["duplicate"]?.bool == true)
        client.write(keyed(#""fd":0"#), passing: [PassedFile(bytes(5001))])
        #expect(client.answer()?["error"]?.string == "conflict")
    }

    @Test(
        "what is wrong with a place is told by its field",
        arguments: [
            (#""fd":1"#, "invalid_job", "attachments[1].fd: no descriptor 1 came with the line"),
            (#""fd":-1"#, "invalid_job", "attachments[1].fd: \(notANumber) -1"),
            (#""fd":"0""#, "invalid_job", "attachments[1].fd: \(notANumber) \"0\""),
            (#""fd":0,"data":"QQ==""#, "invalid_job", "attachments[1].fd: excludes data"),
            (#""\u0066d":0"#, "invalid_job", "attachments[1].fd: no descriptor 0 came with the line"),
            (#""fd":0,"size":1"#, "invalid_job", "attachments[1].size: unknown field"),
        ])
    func wrongPlaces(attachment: String, error: String, message: String) async throws {
        let door = try await Door()
        let client = try door.client()
        let (read, write) = PassedFile.pipe()
        let files = [PassedFile([1]), write]
        // The pipe's end is named by nobody, so it is of no matter that it is one.
        let passed = message.contains("no descriptor 1") ? [files[0]] : files
        client.write(job(1, attaching: [data([2]), attachment]), passing: passed)
        client.write(job(2, attaching: []))
        let answer = client.answer()
        #expect(answer?["error"]?.string == error)
        #expect(answer?["message"]?.string == message)
        #expect(client.answer()?["ref"]?.string == "2")
        #expect(read.number >= 0)
    }

    @Test("a line without any descriptor says which is missing")
    func none() async throws {
        let door = try await Door()
        let client = try door.client()
        client.write(job(7, attaching: [#""fd":0"#]))
        let answer = client.answer()
        #expect(answer?["field"]?.string == "attachments[0].fd" && answer?["ref"]?.string == "7")
    }

    @Test("only regular files of a known size that may be read are taken")
    func kinds() async throws {
        let door = try await Door { $0.lineBytesMax = 100_000 }
        let client = try door.client()
        let (_, write) = PassedFile.pipe()
        let regular = PassedFile(bytes(10))
        let sparse = PassedFile([])
        ftruncate(sparse.number, off_t.max >> 20)
        let cases: [(PassedFile, String)] = [
            (write, "\(notAFile) a pipe"),
            (PassedFile(socket(AF_UNIX, CInt(SOCK_STREAM.rawValue), 0)), "\(notAFile) a socket"),
            (PassedFile(opening: "/", O_RDONLY), "\(notAFile) a directory"),
            (PassedFile(opening: "/dev/null", O_RDONLY), "\(notAFile) a device"),
            (PassedFile(opening: "/proc/self/status", O_RDONLY), "the file does not say its size"),
            (PassedFile(opening: "/proc/self/fd/\(regular.number)", O_WRONLY), "must be open for reading"),
            (PassedFile(bytes(80_000)), "with this file the line is longer than limits.line_bytes_max, 100000 bytes"),
            (sparse, "with this file the line is longer than limits.line_bytes_max, 100000 bytes"),
        ]
        for (number, (file, reason)) in cases.enumerated() {
            #expect(file.number >= 0)
            client.write(job(number, attaching: [#""fd":0"#]), passing: [file])
            let answer = client.answer()
            #expect(answer?["message"]?.string == "attachments[0].fd: \(reason)")
            #expect(answer?["field"]?.string == "attachments[0].fd" && answer?["ref"]?.string == "\(number)")
        }
    }

    @Test("answers keep the order of the lines, and each line has the descriptors that came with it")
    func order() async throws {
        let door = try await Door()
        let client = try door.client()
        let count = 60
        DispatchQueue.global().async {
            for number in 0..<count {
                // Lines before it in the same message; the files belong to the last.
                let before = (0..<number % 4).map { job(1000 + $0, attaching: []) }.joined()
                // Longer than a piece of the kernel's, now and then: then the files come with its first piece.
                let content = String(repeating: "c", count: number % 7 == 0 ? 150_000 : number * 11)
                let file = PassedFile(bytes(number * 997, seed: number))
                let line = job(number, attaching: [#""fd":0"#], content: content)
                if number % 3 == 0 { client.write(before) }
                client.write((number % 3 == 0 ? "" : before) + line, passing: [file])
            }
            client.finish()
        }
        let answers = client.answers()
        let wanted = (0..<count).flatMap { number in (0..<number % 4).map { 1000 + $0 } + [number] }
        #expect(answers.map { $0["ref"]?.string } == wanted.map { "\($0)" })
        for answer in answers {
            guard let number = answer["ref"]?.string.flatMap({ Int($0) }), number < count else { continue }
            let line = try await door.line(of: answer)
            let base64 = Base64Text.encode(bytes(number * 997, seed: number))
            #expect(line?.contains(#""data":"\#(base64)""#) == true, "line \(number)")
        }
    }
}
