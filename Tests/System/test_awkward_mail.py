# maild, the mail-job daemon
# SPDX-License-Identifier: Apache-2.0
"""Awkward jobs through whole servers, read by Python's email package as a recipient would."""

import base64
import email
from email import policy

import pytest
from servers import Dovecot, Exim
from submission import job
from waiting import until

FAMILY = "👩‍👩‍👧‍👦🇪🇺"
TEXTS = {
    "empty": "", "newline": "\n", "newlines": "\n\n\n", "blanks": "  \n\t\n  ", "no end": "text",
    "mixed ends": "a\r\nb\nc\r\n\nd", "lone CR": "a\rb\r\rc\r", "CR before CRLF": "a\r\r\nb",
    "lone dots": ".\n..\n.\r\n...\n.a\n.", "lone dots beyond ASCII": "é\n.\n..\n.\r\n...\n.",
    "an end of data": "a\r\n.\r\nMAIL FROM:<x@example.org>\r\nRCPT TO:<b@example.com>\r\nDATA\r\n.\r\nb",
    "From lines": "From me\n>From you\nFrom", "998 octets": "a" * 998, "999 octets": "a" * 999,
    "998 octets in lines": "a\n" + "b" * 998 + "\r\n" + "." + "c" * 997 + "\n", "a long word": "word" * 5000,
    "controls": "\x01\x08\x1b[0m\x7f", "equals": "=\n==\n=3D\n= \n=\t\na=" + "=" * 200,
    "cyrillic": "Съешь же ещё этих мягких французских булок. " * 40, "emoji": FAMILY * 100,
    "boundaries": "--\n--=_\n----\n--=_0--\n", "BOM": "\ufefftext", "separators": "a\u2028b\u2029c\x85d\x0be\x0cf",
    "widths": "\n".join("é" + "w" * width for width in range(60, 90)), "large": "line of the large one\n" * 50_000,
}
SUBJECTS = [
    "", "  both ends  ", "a   b    c", "a\tb", "Grüße aus Köln", "one zwei ö three ß four", FAMILY * 30, "🎉 " * 60 + "end",
    "Donaudampfschiff" * 60, "a " + "b" * 76 + " " + "c" * 77 + " d", "=?utf-8?q?literal?=", "a =?b c?= d=?e",
    "()<>[]:;@\\,.\"'`!?=_", "e\u0301\u0302\u0303" * 60, "שלום עולם مرحبا", "x" * 69, "x" * 70, "x" * 71, "Re: Bcc: x",
    "https://example.org/" + "a/" * 200,
]
FILES = [
    "a b.txt", "with \"quotes\".txt", "back\\slash.txt", "../../etc/passwd", "C:\\temp\\x.doc", "a;b=c.txt", "a'b%20*.txt",
    "Übersicht 2026.pdf", "文書.docx", "🎉.png", "long name " * 25 + ".txt", "長い名前" * 40 + ".txt", "=?utf-8?q?x?=", ".",
    "no-extension",
]
OCTETS = bytes(range(256)) * 5
RAW = "From: a@example.org\r\nSubject: raw\r\nDate: Mon, 23 Nov 2026 10:00:00 +0000\r\nMessage-ID: <{}@raw>\r\n\r\n{}"
RAWS = ["", ".", ".\r\n", "a\nb\rc\r\nd", "é\r\n.\r\n", "x" * 998 + "\r\n", "\r\n\r\n.\r\n..\r\n"]


def jobs():
    """Each with its case in a header."""
    cases = {f"text {name}": {"content": text} for name, text in TEXTS.items()}
    cases |= {f"both {name}": {"content": text, "html": text} for name, text in TEXTS.items() if len(text) < 10_000}
    cases |= {f"subject {number}": {"subject": text} for number, text in enumerate(SUBJECTS)}
    data = base64.b64encode(OCTETS).decode()
    cases |= {f"file {number}": {"attachments": [{"name": name, "data": data}]} for number, name in enumerate(FILES)}
    return {name: job(headers={"X-Case": name}, **fields) for name, fields in cases.items()}


def raws(number, text):
    return {"raw": RAW.format(number, text), "envelope": {"from": "a@example.org", "to": ["a@example.com"]}}


def parse(data):
    """As it was on the wire: a mailbox has its lines without CR."""
    data = data.replace(b"\r\n", b"\n")
    assert max(map(len, data.split(b"\n"))) <= 998
    return email.message_from_bytes(data.replace(b"\n", b"\r\n"), policy=policy.SMTP)


def text_of(message, kind):
    part = message.get_body((kind,))
    return part.get_payload(decode=True).decode(part.get_content_charset("us-ascii")).replace("\r\n", "\n")


def judge(request, message):
    """What differs from the job, in words."""
    faults = [f"{part.get_content_type()}: {part.defects}" for part in message.walk() if part.defects]
    faults += [f"{name}: {value.defects}" for part in message.walk() for name, value in part.items() if value.defects]
    if str(message["Subject"]) != request["subject"]:
        faults.append(f"subject {str(message['Subject'])!r}")
    for field, kind in (("content", "plain"), ("html", "html")):
        wanted = request.get(field)
        if wanted is not None:
            # RFC 2046 §4.1.1: a CR alone may stand in no text, so it is taken for a line end too.
            wanted = wanted.replace("\r\n", "\n").replace("\r", "\n")
            found = text_of(message, kind)
            # A 7bit body cannot end but with a line end.
            if found not in (wanted, wanted + "\n"):
                faults.append(f"{field} {found[:200]!r} for {wanted[:200]!r}")
    files = [(part["Content-Disposition"].params.get("filename"), part.get_payload(decode=True))
             for part in message.walk() if part.get_content_disposition() == "attachment"]
    if files != [(each["name"], OCTETS) for each in request.get("attachments", [])]:
        faults.append(f"files {[name for name, _ in files]}")
    return faults


@pytest.fixture(params=["postfix", "exim", "dovecot"])
def way(request):
    """A relay, and how to see what it delivered to a@example.com."""
    if request.param == "postfix":
        postfix = request.getfixturevalue("postfix")
        yield {"host": "127.0.0.1", "port": postfix.port}, postfix.raw_messages
        return
    server = {"exim": Exim, "dovecot": Dovecot}[request.param]()
    try:
        server.start()
        if request.param == "exim":
            yield {"host": "127.0.0.1", "port": server.port}, server.raw_messages
        else:
            yield {"protocol": "lmtp", "socket": server.socket}, lambda: server.raw_messages("inbox/a")
    finally:
        server.stop()


def test_what_was_asked_for_is_what_a_recipient_reads(maild, way):
    relay, delivered = way
    one = maild(workers=4, relay={"it": relay}).start()
    asked = jobs()
    finished = [raws(number, text) for number, text in enumerate(RAWS)]
    with one.submission() as client:
        answers = client.send(*asked.values(), *finished).answers(len(asked) + len(finished))
    for answer in answers:
        one.wait_for_state(answer["job"], "delivered")
    until(lambda: len(delivered()) == len(answers), f"{len(answers)} messages; there are {len(delivered())}", 60)
    messages = [parse(data) for data in delivered()]
    composed = {str(message["X-Case"]): message for message in messages if "X-Case" in message}
    assert composed.keys() == asked.keys()
    faults = {name: judge(request, composed[name]) for name, request in asked.items()}
    assert {name: found for name, found in faults.items() if found} == {}
    passed = {str(message["Message-ID"]): message for message in messages if "X-Case" not in message}
    for number, text in enumerate(RAWS):
        body = passed[f"<{number}@raw>"].get_payload(decode=True).decode()
        # Line ends are mended, and the last line gets one; nothing else changes.
        wanted = text.replace("\r\n", "\n").replace("\r", "\n")
        assert body.replace("\r\n", "\n").rstrip("\n") == wanted.rstrip("\n"), number


def test_two_hundred_recipients_get_a_mail_each_and_a_verdict_each(maild):
    exim = Exim()
    try:
        exim.start()
        one = maild(relay={"exim": {"host": "127.0.0.1", "port": exim.port}}).start()
        many = [f"many{number}@example.com" for number in range(200)]
        unknown = ["nobody@example.com", "noone@example.com"]
        with one.submission() as client:
            name = client.ask(job(to=many[:100] + unknown[:1], cc=many[100:], bcc=unknown[1:]))["job"]
        [attempt] = one.wait_for_state(name, "failed")["history"]
        verdicts = {fate["recipient"]: fate["verdict"] for fate in attempt["fates"]}
        assert verdicts == dict.fromkeys(many, "delivered") | dict.fromkeys(unknown, "rejected")
        until(lambda: sum(message["Envelope-To"].count("@") for message in exim.messages()) == 200, "200 deliveries", 60)
        [message, *_] = exim.messages()
        shown = email.message_from_bytes(message.as_bytes(), policy=policy.SMTP)
        assert [address.addr_spec for address in shown["Cc"].addresses] == many[100:]
        assert "noone@example.com" not in message.as_string()
    finally:
        exim.stop()
