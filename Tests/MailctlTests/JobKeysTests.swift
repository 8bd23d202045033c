// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import Testing
import mailctl

@Suite struct JobKeysTests {
    private func marked(_ line: String, number: Int = 7) -> (line: String, mark: JobKeys.Mark) {
        var keys = JobKeys(run: "run")
        let bytes = Array(line.utf8)
        let mark = bytes.withUnsafeBytes { keys.mark($0, number: number) }
        return (String(decoding: bytes.prefix(1) + mark.insertion + bytes.dropFirst(), as: UTF8.self), mark)
    }

    @Test("a job without a key is given one of its own")
    func given() {
        #expect(marked(#"{"to":"a"}"#).line == #"{"idempotency_key":"run-7","to":"a"}"#)
        #expect(marked(#"{ "to":"a"}"#, number: 12).line == #"{"idempotency_key":"run-12", "to":"a"}"#)
        #expect(marked("{}").line == #"{"idempotency_key":"run-7"}"#)
        #expect(marked("{ }\r").line == "{\"idempotency_key\":\"run-7\" }\r")
    }

    @Test(
        "a job with a key keeps it, however it is written",
        arguments: [
            #"{"to":"a","idempotency_key":"mine"}"#, #"{"idempotency_\u006bey":"mine"}"#, #"{"idempotency_key":5}"#,
        ])
    func kept(line: String) {
        #expect(marked(line).line == line)
        #expect(marked(line).mark.mayRepeat)
    }

    @Test("a key deep in the job is not the job's")
    func deep() {
        #expect(marked(#"{"body":{"idempotency_key":"x"}}"#).mark.insertion.count > 0)
    }

    @Test(
        "what is no job stays as it is, and becomes none when it is sent again",
        arguments: [
            "", "x", "{", "[]", #"{"to":"a""#, #"{"to":"a","to":"b"}"#, "\u{FEFF}{}",
        ])
    func noJob(line: String) {
        #expect(marked(line).mark == JobKeys.Mark())
    }

    @Test("a job that has no room for a key cannot be sent again")
    func full() {
        let line = "{" + (0..<64).map { "\"k\($0)\":0" }.joined(separator: ",") + "}"
        #expect(marked(line).mark == JobKeys.Mark(mayRepeat: false))
    }

    @Test("who waits for the outcome is known")
    func waits() {
        #expect(marked(#"{"wait":"settled"}"#).mark.waitsForOutcome)
        #expect(!marked(#"{"wait":"durable"}"#).mark.waitsForOutcome)
        #expect(!marked(#"{"body":{"wait":"settled"}}"#).mark.waitsForOutcome)
    }

    @Test("no two runs have the same keys")
    func runs() {
        #expect(Set((0..<100).map { _ in JobKeys.freshRun() }).count == 100)
        #expect(JobKeys.freshRun().utf8.count <= 26)
    }
}
