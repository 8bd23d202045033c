# maild, the mail-job daemon
# SPDX-License-Identifier: Apache-2.0
"""DKIM: whole daemons sign, aiosmtpd takes, dkimpy judges."""

import base64

import pytest
from aio_server import AioServer
from dkim_judge import Keys, names, signatures
from submission import job

OCTETS = base64.b64encode(bytes(range(256))).decode()
FILE = {"name": "Bericht \"ü\"/1.txt", "content_type": "text/plain", "data": OCTETS}
UNSUBSCRIBE = {
    "List-Unsubscribe": f"<mailto:u@example.org?subject=no>, <https://example.org/u/{'x' * 300}>",
    "List-Unsubscribe-Post": "List-Unsubscribe=One-Click"}
RAW = (
    "From: Ann <ann@example.org>\nTo: b@example.com\nSubject:  two   blanks \n\there\nX-A: b\n\n"
    " a  b\t\n\n\nend \n\n\n")

CORPUS = [
    {}, {"content": ""}, {"content": "\n\n\n"}, {"content": " \t\n \n"}, {"content": "a\n\n\n\n"},
    {"content": "a  \tb \n c"},
    {"content": ".\n..\n.a\n\n.\n"}, {"content": "x" * 997}, {"content": "x" * 5000 + "\n"}, {"content": "a\rb\r\nc"},
    {"content": "Grüße, 漢字 und 🎉\n" * 50}, {"content": "tab\there\nline"}, {"content": "text", "html": "<p>Grüße</p>"},
    {"subject": ""}, {"subject": None}, {"subject": "  edge  "}, {"subject": "Grüße 🎉 " * 30}, {"subject": "a " * 300},
    {"from": "Zoë \"Z\" Example <Zoe@EXAMPLE.org>"}, {"from": "\"Doe, John (x@y.example)\" <j@example.org>"},
    {"to": [f"recipient.{n}@example.com" for n in range(200)]}, {"to": "\"Ünal, der\" <u@bücher.example>"},
    {"to": None, "bcc": "secret@example.com"}, {"cc": ["c@example.com"], "reply_to": "r@example.net"},
    {"headers": UNSUBSCRIBE},
    {"headers": {"References": " ".join(f"<{n}@x.example>" for n in range(40)), "X-T": "Grüße"}},
    {"headers": {"Message-ID": "<own@example.org>", "Date": "Mon, 23 Nov 2026 13:00:00 +0100"}},
    {"attachments": [FILE]}, {"html": "<img src='cid:a'>", "attachments": [FILE | {"cid": "a"}, FILE]},
    {"attachments": [FILE | {"data": base64.b64encode(b"z" * 300_000).decode()}]},
]


def raw(text, sender="ann@example.org"):
    return {"raw": text, "envelope": {"from": sender, "to": ["b@example.com"]}}


RAWS = [RAW, RAW.replace("\n", "\r\n"), "From: a@example.org\n\n", "from: a@example.org (@x.example)\nTo: b@e.example",
        "From: a@example.org\nFrom: b@example.org\n\ntwo\n", "From: a@example.org\nBcc: x@y.example\n\nGrüße\n",
        "DKIM-Signature: v=1; a=rsa-sha256; d=example.net; s=x; h=from; bh=AAAA; b=AAAA\nFrom: a@example.org\n\nx\n"]


@pytest.fixture
def keys(tmp_path):
    return Keys(tmp_path)


def send(maild, jobs, **settings):
    """What aiosmtpd got of each job, in the jobs' order: one worker takes one after the other."""
    with AioServer() as server:
        one = maild(relay=server.settings(), workers=1, **settings).start()
        with one.submission() as client:
            answers = client.send(*jobs).answers(len(jobs))
            assert [answer for answer in answers if "job" not in answer] == []
        server.recorder.wait_for(len(jobs))
        one.wait_for_counts(ready=0, running=0, scheduled=0, failed=0)
        assert one.stop() == 0
        return [message for _, _, message in server.recorder.envelopes]


def test_dkimpy_takes_both_signatures_of_every_message_of_an_awkward_corpus(maild, keys):
    entries = [keys.entry("example.org", "r1"), keys.entry("example.org", "e1", "ed25519")]
    jobs = [job(**fields) for fields in CORPUS] + [raw(text) for text in RAWS]
    for request, message in zip(jobs, send(maild, jobs, dkim=entries)):
        assert keys.verdicts(message)[:2] == [True, True], (request, message)
        ours = signatures(message)[:2]
        assert [each[b"a"] for each in ours] == [b"rsa-sha256", b"ed25519-sha256"]
        for each in ours:
            assert b"l" not in each and each[b"c"] == b"relaxed/relaxed" and each[b"d"] == b"example.org"
            assert names(each).count("from") >= 2
            shown = message.partition(b"\r\n\r\n")[0].lower()
            for name in ("list-unsubscribe", "list-unsubscribe-post", "content-type", "message-id", "subject"):
                assert (name in names(each)) or f"\n{name}:".encode() not in shown
        assert max(len(line) for line in message.partition(b"\r\n\r\n")[0].split(b"\r\n")[:8]) <= 78


@pytest.mark.parametrize("old, new", [
    (b"Subject: hi", b"Subject: ho"), (b"Subject: hi", b"Subject: hi\r\nSubject: ho"),
    (b"From: app@", b"From: other@example.org\r\nFrom: app@"),
    (b"To: a@", b"To: b@"),
    (b"To: a@", b"Cc: x@y.example\r\nTo: a@"),
    (b"\r\nFrom:", b"\r\nReply-To: x@y.example\r\nFrom:"), (b"\r\ntext", b"\r\nTEXT"),
    (b"text\r\n", b"text\r\nmore\r\n"),
    (b"\r\nDate: ", b"\r\nDate: 1 Jan 2020 00:00 +0000\r\nDate: "), (b"Message-ID: <", b"Message-ID: <x"),
    (b"List-Unsubscribe-Post: ", b"X-Was: "),
    (b"List-Unsubscribe: <", b"List-Unsubscribe: <https://evil.example/"),
    (b"text/plain", b"text/html"), (b"Content-Type:", b"Content-Type: text/html\r\nContent-Type:"),
    (b" t=1", b" t=2"), (b"d=example.org", b"d=example.net"),
])
def test_what_is_changed_on_the_way_breaks_both_signatures(signed, old, new):
    message, keys = signed
    assert message.count(old) >= 1
    assert keys.verdicts(message) == [True, True]
    assert keys.verdicts(message.replace(old, new)) == [False, False]


@pytest.fixture(scope="module")
def signed(tmp_path_factory):
    """One message with two signatures, and the keys that made them."""
    from maild import Maild

    keys = Keys(tmp_path_factory.mktemp("keys"))
    entries = [keys.entry("example.org", "r1", "rsa-pkcs1"), keys.entry("example.org", "e1", "ed25519")]
    daemons = []

    def make(**settings):
        daemons.append(Maild(tmp_path_factory.mktemp("maild"), **settings))
        return daemons[-1]

    try:
        headers = UNSUBSCRIBE | {"List-Unsubscribe": "<https://example.org/u>"}
        [message] = send(make, [job(headers=headers)], dkim=entries)
        return message, keys
    finally:
        for each in daemons:
            each.clean_up()


def test_what_a_server_may_change_leaves_both_signatures_whole(signed):
    message, keys = signed
    changed = b"Received: from x\r\nX-Spam: no\r\n" + message.replace(b"Subject: hi", b"SUBJECT:   hi \t")
    assert keys.verdicts(changed.replace(b"text\r\n", b"text  \r\n\r\n\r\n")) == [True, True]


def test_each_author_is_signed_by_his_own_domain_alone(maild, keys):
    entries = [keys.entry("example.org", "o1"), keys.entry("bücher.example", "b1", "ed25519"),
               keys.entry("example.net", "n1", "ed25519", subdomains=True)]
    keys.zone[b"b1._domainkey.xn--bcher-kva.example."] = keys.zone.pop("b1._domainkey.bücher.example.".encode())
    jobs = [job(**{"from": sender}) for sender in
            ("a@example.org", "a@mail.example.org", "a@BÜCHER.example", "a@mail.example.net", "a@example.com")]
    messages = send(maild, jobs, dkim=entries)
    assert [[each[b"s"] for each in signatures(message)] for message in messages] == [[b"o1"], [], [b"b1"], [b"n1"], []]
    assert all(all(keys.verdicts(message)) for message in messages)


def test_every_attempt_sends_the_same_octets(maild, keys):
    replies = {"a@example.com": ["452 4.2.2 full"] * 2, "b@example.com": ["452 4.2.2 full"]}
    entries = [keys.entry("example.org", "r1"), keys.entry("example.org", "e1", "ed25519")]
    with AioServer(replies) as server:
        one = maild(relay=server.settings(), retry={"first_seconds": 0.2}, dkim=entries).start()
        with one.submission() as client:
            name = client.ask(job(to=["a@example.com", "b@example.com", "c@example.com"]))["job"]
        one.wait_for_state(name, "delivered")
        messages = [message for _, _, message in server.recorder.envelopes]
    assert len(messages) == 3 and len(set(messages)) == 1
    assert keys.verdicts(messages[0]) == [True, True]


def test_a_reload_brings_the_new_key_and_a_bad_one_changes_nothing(maild, keys):
    old = keys.entry("example.org", "r1")
    with AioServer() as server:
        one = maild(relay=server.settings(), dkim=[old]).start()
        new = keys.entry("example.org", "e1", "ed25519")
        one.configure(relay=server.settings(), dkim=[new])
        changed = one.control.call("Reload")["changed"]
        assert changed == ["dkim[1].selector", "dkim[1].key_file"], changed
        with one.submission() as client:
            client.ask(job())
            server.recorder.wait_for(1)
            new["key_file"].chmod(0o644)
            failed = one.mailctl("reload")
            assert failed.returncode != 0 and f"{new['key_file']} is open to others" in failed.stderr
            client.ask(job())
        messages = [message for _, _, message in server.recorder.wait_for(2)]
    assert [keys.verdicts(message) for message in messages] == [[True], [True]]
    assert {each[b"s"] for message in messages for each in signatures(message)} == {b"e1"}


def test_the_maildir_gets_its_signatures_too(maild, keys):
    one = maild(dkim=[keys.entry("example.org", "e1", "ed25519")]).start()
    with one.submission() as client:
        one.wait_for_state(client.ask(job())["job"], "delivered")
    [path] = (one.directory / "maildir" / "new").iterdir()
    _, _, message = path.read_bytes().partition(b"DKIM-Signature:")
    assert keys.verdicts((b"DKIM-Signature:" + message).replace(b"\n", b"\r\n")) == [True]


def test_a_key_comes_as_a_credential(maild, keys):
    path = keys.make("example.org", "e1", "ed25519")
    path.rename(path.with_name("dkim.key")).chmod(0o440)  # As systemd leaves it: an ACL guards it, not the mode.
    with AioServer() as server:
        one = maild(
            relay=server.settings(), dkim=[{"domain": "example.org", "selector": "e1", "key_credential": "dkim.key"}])
        one.spawn(environment={"CREDENTIALS_DIRECTORY": str(path.parent)})
        one.notices.wait_for("READY=1", alive=one.is_alive)
        with one.submission() as client:
            client.ask(job())
        [(_, _, message)] = server.recorder.wait_for(1)
    assert keys.verdicts(message) == [True]


@pytest.mark.parametrize("form, mode, complaint", [
    ("rsa-1024", 0o600, "is an RSA key of 1024 bits; it must have 2048 to 4096"),
    ("rsa-768", 0o600, "is an RSA key of less than 1024 bits; it must have 2048 to 4096"),
    ("ec", 0o600, "not a private key of RSA or Ed25519"),
    ("ed25519", 0o660, "is open to others (mode 0660); make it 0600 or 0640"),
    ("ed25519", 0o604, "is open to others (mode 0604); make it 0600 or 0640"),
    ("ed25519", None, "cannot be read: No such file or directory"),
])
def test_a_key_that_must_not_sign_ends_the_start_with_file_line_and_key(maild, keys, form, mode, complaint):
    path = keys.make("example.org", "s1", form)
    path.unlink() if mode is None else path.chmod(mode)
    one = maild(dkim=[{"domain": "example.org", "selector": "s1", "key_file": path}])
    one.spawn()
    assert one.process.wait(timeout=20) == 78
    line = 1 + one.configuration_path.read_text().splitlines().index(f'key_file = "{path}"')
    assert f"{one.configuration_path}:{line}: dkim[1].key_file: {path} " in one.log()
    assert complaint in one.log()
