// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import Testing
import mailctl

@Suite struct JobDraftTests {
    @Test("only what was given is in the job")
    func empty() { #expect(JobDraft().json.text == "{}") }

    @Test("texts, lists, numbers, headers and files become the fields of docs/protocol.md")
    func full() {
        var draft = JobDraft()
        draft.texts = [("from", "a@b"), ("subject", nil)]
        draft.lists = [("to", ["c@d", "e@f"]), ("cc", [])]
        draft.integers = [("priority", 7), ("max_attempts", nil)]
        draft.delaySeconds = 90
        draft.headerFields = ["X-A: \t1: 2", "X-B:"]
        draft.attachments = [("a.PDF", .bytes([0, 255])), ("b", .passed(0))]
        #expect(
            draft.json.text == """
                {"from":"a@b","to":["c@d","e@f"],"priority":7,"delay":90,"headers":{"X-A":"1: 2","X-B":""},\
                "attachments":[{"name":"a.PDF","content_type":"application/pdf","data":"AP8="},\
                {"name":"b","content_type":"application/octet-stream","fd":0}]}
                """)
    }

    @Test("a delay keeps its fraction")
    func fraction() {
        var draft = JobDraft()
        draft.delaySeconds = 1.5
        #expect(draft.json.text == "{\"delay\":1.5}")
    }

    @Test("a header field has a name and a colon", arguments: ["", ":x", "none"])
    func headerField(field: String) { #expect(JobDraft.headerField(field) == nil) }

    // RFC 4648 §10.
    @Test(
        "base64",
        arguments: [
            ("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foob", "Zm9vYg=="), ("fooba", "Zm9vYmE="),
            ("foobar", "Zm9vYmFy"),
        ])
    func base64(text: String, encoded: String) { #expect(Base64.encoded(Array(text.utf8)) == encoded) }

    @Test("base64's last two digits are + and /")
    func base64Digits() { #expect(Base64.encoded([0xFB, 0xEF, 0xFF]) == "++//") }

    @Test(
        "a file's type comes from the end of its name",
        arguments: [
            ("a.txt", "text/plain"), ("A.JPG", "image/jpeg"), ("a.tar.gz", "application/gzip"),
            ("a.unheard", "application/octet-stream"), ("README", "application/octet-stream"),
        ])
    func contentType(name: String, type: String) { #expect(ContentType.of(fileName: name) == type) }
}
