# maild, the mail-job daemon
# SPDX-License-Identifier: Apache-2.0
"""Mail by SMTP to servers that are not ours: aiosmtpd, Postfix's smtp-sink, and a whole Postfix."""

import os
import subprocess
import tempfile
from pathlib import Path

from aio_server import AioServer
from submission import job
from waiting import free_port, is_listening, until


def fates(attempt):
    return {fate["recipient"]: (fate["verdict"], fate["code"], fate["enhanced"]) for fate in attempt["fates"]}


def test_each_recipient_gets_a_verdict_of_its_own_and_only_the_deferred_one_is_tried_again(maild):
    replies = {
        "full@example.com": ["452 4.2.2 mailbox full", "250 2.1.5 ok"], "gone@example.com": "550 5.1.1 no such user"}
    with AioServer(replies) as server:
        one = maild(retry={"first_seconds": 0.2}, relay=server.settings()).start()
        with one.submission() as client:
            name = client.ask(job(to=["good@example.com", "full@example.com"], bcc="gone@example.com"))["job"]
        shown = one.wait_for_state(name, "failed")
        first, second = shown["history"]
        assert fates(first) == {
            "good@example.com": ("delivered", 250, "2.0.0"), "full@example.com": ("deferred", 452, "4.2.2"),
            "gone@example.com": ("rejected", 550, "5.1.1")}
        assert fates(second) == {"full@example.com": ("delivered", 250, "2.0.0")}
        assert first["relay"] == second["relay"] == "aio" and str(server.port) in first["peer"]
        (sender, to, _), (_, again, _) = server.recorder.envelopes
        assert (sender, to, again) == ("app@example.org", ["good@example.com"], ["full@example.com"])
        ids = {message["Message-ID"] for message in server.recorder.messages()}
        assert len(ids) == 1
    page = one.mailctl("show", name).stdout
    for word in (*(fates(first)), "452", "550", "no such user", "mailbox full"):
        assert word in page, page


def test_the_message_is_what_the_job_asked_for(maild):
    with AioServer() as server:
        one = maild(relay=server.settings()).start()
        with one.submission() as client:
            client.ask(job(
                to="Zoë Example <zoe@example.com>", cc=["c@example.com"], bcc="secret@example.com",
                reply_to="r@example.org", subject="Grüße 🎉", headers={"X-Order": "17"},
                content="Ümlaut\n.\n..\n.end\nlast", html="<p>Ümlaut</p>",
                attachments=[{"name": "Bericht ü.txt", "content_type": "text/plain", "data": "SGVsbG8="}]))
        [(sender, recipients, data)] = server.recorder.wait_for(1)
        [message] = server.recorder.messages()
        assert sender == "app@example.org"
        assert sorted(recipients) == ["c@example.com", "secret@example.com", "zoe@example.com"]
        assert b"secret@example.com" not in data
        assert message["Subject"] == "Grüße 🎉"
        assert message["X-Order"] == "17" and message["Reply-To"] == "r@example.org"
        assert message["To"].addresses[0].display_name == "Zoë Example"
        assert message["Date"] and message["Message-ID"] and message["MIME-Version"] == "1.0"
        assert [part.defects for part in message.walk()] == [[] for _ in message.walk()]
        text = message.get_body(("plain",)).get_content().replace("\r\n", "\n")
        assert text.rstrip("\n") == "Ümlaut\n.\n..\n.end\nlast"
        assert "<p>Ümlaut</p>" in message.get_body(("html",)).get_content()
        [attachment] = message.iter_attachments()
        assert attachment.get_filename() == "Bericht ü.txt" and attachment.get_content().strip() == "Hello"
        assert max(len(line) for line in data.split(b"\r\n")) <= 998


def test_a_finished_message_goes_as_it_is_by_its_own_envelope(maild):
    raw = (
        "From: x@example.org\r\nSubject: raw\r\nMessage-ID: <1@x>\r\n"
        "Date: Mon, 23 Nov 2026 10:00:00 +0000\r\n\r\n.a\r\n..\r\nb")
    with AioServer() as server:
        one = maild(relay=server.settings()).start()
        with one.submission() as client:
            envelope = {"from": "", "to": ["a@example.com"]}
            answer = client.ask({"raw": raw, "from": "x@example.org", "envelope": envelope})
            assert "job" in answer, answer
        [(sender, recipients, data)] = server.recorder.wait_for(1)
        assert sender == "<>" and recipients == ["a@example.com"]
        assert data.rstrip(b"\r\n") == raw.encode()


def test_a_thousand_jobs_reach_smtp_sink(maild):
    port = free_port()
    with tempfile.TemporaryDirectory(prefix="maild-sink-") as directory:
        if os.geteuid() == 0:
            os.chmod(directory, 0o777)
        user = ["-u", "nobody"] if os.geteuid() == 0 else []
        sink = subprocess.Popen(
            ["/usr/sbin/smtp-sink", *user, "-d", f"{directory}/%M.", f"127.0.0.1:{port}", "100"],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        try:
            until(lambda: is_listening(port), "smtp-sink listens")
            one = maild(relay={"sink": {"host": "127.0.0.1", "port": port}}).start()
            with one.submission() as client:
                answers = client.send(*(job(subject=f"number {n}") for n in range(1000))).finish()
            assert all("job" in answer for answer in answers)
            one.wait_for_counts(ready=0, scheduled=0, running=0, failed=0)
            assert one.status()["delivered_total"] == 1000
            subjects = sorted(
                line for path in Path(directory).iterdir() for line in path.read_text().splitlines()
                if line.startswith("Subject: "))
            assert subjects == sorted(f"Subject: number {n}" for n in range(1000))
            assert one.status()["relays"][0]["delivered"] == 1000
        finally:
            sink.terminate()
            sink.wait()


def test_a_real_postfix_takes_and_delivers_the_mail(maild, postfix):
    one = maild(retry={"first_seconds": 0.2}, relay={"postfix": {"host": "127.0.0.1", "port": postfix.port}}).start()
    with one.submission() as client:
        good = [job(subject=f"p{n}", cc="b@example.com", content=f".\n..\nbody {n}") for n in range(20)]
        names = [answer["job"] for answer in client.send(*good, job(to="unknown@example.com")).answers(21)]
    for name in names[:20]:
        [attempt] = one.wait_for_state(name, "delivered")["history"]
        assert [fate["code"] for fate in attempt["fates"]] == [250, 250]
        assert "queued as" in attempt["fates"][0]["text"]
    [attempt] = one.wait_for_state(names[20], "failed")["history"]
    assert fates(attempt) == {"unknown@example.com": ("rejected", 550, "5.1.1")}
    until(lambda: len(postfix.messages()) >= 40, "Postfix has delivered 20 messages to 2 recipients each")
    bodies = sorted(message.get_payload().rstrip("\n") for message in postfix.messages())
    assert bodies == sorted([f".\n..\nbody {n}" for n in range(20)] * 2)
