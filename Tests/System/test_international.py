# maild, the mail-job daemon
# SPDX-License-Identifier: Apache-2.0
"""Addresses beyond ASCII: domains go as A-labels everywhere, local parts where SMTPUTF8 is offered."""

from aio_server import AioServer
from submission import job
from test_smtp_servers import fates

LOCAL = "用户@bücher.example"
LOCAL_WIRE = "用户@xn--bcher-kva.example"


def test_a_domain_beyond_ascii_needs_no_smtputf8(maild):
    with AioServer(smtputf8=False) as server:
        one = maild(relay=server.settings()).start()
        with one.submission() as client:
            name = client.ask(job(
                to=["Ünal <u@BÜCHER.example>", "a@例え。テスト"], cc="u@bücher.example", **{"from": "x@пример.рф"}))["job"]
        assert one.wait_for_state(name, "delivered")["job"]["attempts"] == 1
        [(sender, recipients, data)] = server.recorder.envelopes
        assert sender == "x@xn--e1afmkfd.xn--p1ai"
        assert recipients == ["u@xn--bcher-kva.example", "a@xn--r8jz45g.xn--zckzah"]
        assert data.isascii() and server.recorder.smtputf8 == [False]
        [message] = server.recorder.messages()
        assert str(message["From"]) == "x@xn--e1afmkfd.xn--p1ai"
        assert str(message["To"]) == "Ünal <u@xn--bcher-kva.example>, a@xn--r8jz45g.xn--zckzah"


def test_a_local_part_beyond_ascii_goes_where_smtputf8_is_offered(maild):
    with AioServer(smtputf8=True) as server:
        one = maild(relay=server.settings()).start()
        with one.submission() as client:
            first = client.ask(job(to=[LOCAL, "b@example.com"]))["job"]
            one.wait_for_state(first, "delivered")
            one.wait_for_state(client.ask(job())["job"], "delivered")
        (_, recipients, data), _ = server.recorder.envelopes
        assert recipients == [LOCAL_WIRE, "b@example.com"] and server.recorder.smtputf8 == [True, False]
        assert f"To: {LOCAL_WIRE}, b@example.com\r\n".encode() in data


def test_where_it_is_not_offered_a_header_with_such_an_address_reaches_nobody(maild):
    with AioServer(smtputf8=False) as server:
        one = maild(relay=server.settings()).start()
        with one.submission() as client:
            [attempt] = one.wait_for_state(client.ask(job(to=[LOCAL, "b@example.com"]))["job"], "failed")["history"]
        refused = ("rejected", 553, "5.6.7")
        assert fates(attempt) == {LOCAL_WIRE: refused, "b@example.com": refused}
        assert "the message's header is not ASCII" in attempt["fates"][1]["text"]
        assert "does not offer SMTPUTF8" in attempt["fates"][1]["text"]
        assert server.recorder.envelopes == []


def test_where_it_stands_in_the_envelope_alone_only_that_recipient_fails(maild):
    with AioServer(smtputf8=False) as server:
        one = maild(relay=server.settings()).start()
        with one.submission() as client:
            [attempt] = one.wait_for_state(client.ask(job(to="b@example.com", bcc=LOCAL))["job"], "failed")["history"]
        assert fates(attempt) == {LOCAL_WIRE: ("rejected", 553, "5.6.7"), "b@example.com": ("delivered", 250, "2.0.0")}
        assert "the recipient is not ASCII" in attempt["fates"][1]["text"]
        [(_, recipients, data)] = server.recorder.envelopes
        assert recipients == ["b@example.com"] and data.isascii()


def test_a_raw_message_with_a_header_beyond_ascii_goes_the_same_way(maild):
    raw = "From: a@example.org\nSubject: Grüße\n\ntext\n"
    request = {"raw": raw, "envelope": {"from": "a@example.org", "to": ["b@example.com"]}}
    for offered, state in ((True, "delivered"), (False, "failed")):
        with AioServer(smtputf8=offered) as server:
            one = maild(relay=server.settings()).start()
            with one.submission() as client:
                one.wait_for_state(client.ask(request)["job"], state)
            assert server.recorder.smtputf8 == [True] * offered
            assert one.stop() == 0


def test_the_maildir_takes_every_address(running):
    with running.submission() as client:
        running.wait_for_state(client.ask(job(to=LOCAL, bcc="δοκιμή@example.com"))["job"], "delivered")
    texts = [path.read_text() for path in (running.directory / "maildir" / "new").iterdir()]
    assert len(texts) == 2 and all(f"To: {LOCAL_WIRE}\n" in text for text in texts)
    assert any("Delivered-To: δοκιμή@example.com\n" in text for text in texts)


def test_a_domain_that_cannot_be_mapped_is_refused_at_the_door(running):
    with running.submission() as client:
        answer = client.ask(job(to="a@☃.example"))
    assert answer["error"] == "invalid_job" and answer["field"] == "to"
    assert "U+2603, which no domain name may hold" in answer["message"]
