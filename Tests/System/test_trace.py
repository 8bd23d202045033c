# maild, the mail-job daemon
# SPDX-License-Identifier: Apache-2.0
"""A trace context in a job: it comes out wherever the job goes, and whatever is told of it names the trace."""

import re
from pathlib import Path

import pytest
from http_server import HTTPServer
from submission import job
from waiting import until
from webhooks import QUICK

TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
PARENT = f"00-{TRACE}-{SPAN}-01"
STATE = "rojo=00f067aa0ba902b7,congo=t61rcWkgMzE"


def lines_of(one, name):
    return [line for line in one.log().splitlines() if f"job={name}" in line]


def header(message):
    return message.data.split(b"\r\n\r\n")[0].decode().split("\r\n")


def test_a_mail_carries_it_at_every_attempt_and_so_does_all_that_is_told(maild, judge):
    replies = iter(["451 4.3.0 later"])
    server = judge(script=lambda _, verb, __: next(replies, None) if verb == "RCPT" else None)
    one = maild(relay=server.settings(), retry=QUICK).start()
    with one.submission() as client:
        name = client.ask(job(traceparent=PARENT, tracestate=STATE))["job"]
        plain = client.ask(job())["job"]
    shown = one.wait_for_state(name, "delivered")
    one.wait_for_state(plain, "delivered")
    traced, untraced = sorted(server.messages, key=lambda message: name not in message.message_id)
    assert header(traced)[:3] == [f"traceparent: {PARENT}", f"tracestate: {STATE}", "From: app@example.org"]
    assert not any(field.lower().startswith("trace") for field in header(untraced))
    assert shown["traceparent"] == PARENT and "traceparent" not in one.show(plain)
    assert f"Trace      {PARENT}" in one.mailctl("show", name).stdout
    until(lambda: len(lines_of(one, name)) == 3, "it is accepted, deferred and delivered in the log")
    for line in lines_of(one, name):
        assert f" trace_id={TRACE} span_id={SPAN}" in line
    assert not any("trace_id" in line for line in lines_of(one, plain))


def test_it_is_kept_in_the_spool_over_a_restart(maild, judge):
    server = judge()
    one = maild(relay=server.settings()).start()
    one.control.call("Pause")
    with one.submission() as client:
        small = client.ask(job(traceparent=PARENT))["job"]
        large = client.ask(job(traceparent=PARENT, content="x" * (300 << 10)))["job"]
    assert one.show(small)["traceparent"] == PARENT
    one.kill()
    one.start()
    one.control.call("Resume")
    for name in (small, large):
        one.wait_for_state(name, "delivered")
    assert [header(message)[0] for message in server.messages] == [f"traceparent: {PARENT}"] * 2


def test_what_operators_do_names_it_too(running):
    running.control.call("Pause")
    with running.submission() as client:
        [traced, plain] = [client.ask(job(**fields))["job"] for fields in ({"traceparent": PARENT}, {})]
    for verb in ("Hold", "Release", "Cancel"):
        running.control.call(verb, ids=[traced, plain])
    running.wait_for_state(traced, "cancelled")
    until(lambda: len(lines_of(running, plain)) == 4, "all is in the log")
    assert len([line for line in lines_of(running, traced) if f" trace_id={TRACE} " in line]) == 4
    assert not any("trace_id" in line for line in lines_of(running, plain))


def test_a_raw_message_gets_it_too_unless_it_has_its_own(maild, judge):
    server = judge()
    one = maild(relay=server.settings()).start()
    raw = "From: app@example.org\r\nSubject: hi\r\n{}\r\ntext\r\n"
    with one.submission() as client:
        for own in ("", "Traceparent: theirs\r\n"):
            envelope = {"to": ["a@example.com"]}
            answer = client.ask(job(
                raw=raw.format(own), envelope=envelope, traceparent=PARENT, to=None, subject=None, content=None))
            one.wait_for_state(answer["job"], "delivered")
    first, second = [[field for field in header(message) if field.lower().startswith("trace")]
                     for message in server.messages]
    assert first == [f"traceparent: {PARENT}"] and second == ["Traceparent: theirs"]


def test_a_webhook_and_a_program_are_told_as_theirs_are_used_to(maild, tmp_path):
    report = tmp_path / "environment"
    with HTTPServer((200, {}, b"thanks\n"), (200, {}, b"thanks\n")) as server:
        one = maild(
            webhook={"allow_private": True}, exec={"note": {"command": ["/bin/sh", "-c", f"env > {report}"]}}).start()
        trace = {"traceparent": PARENT, "tracestate": STATE}
        hook = {"type": "webhook", "url": server.url("/"), "body": {}}
        with one.submission() as client:
            names = [client.ask(line)["job"] for line in (
                hook | trace, hook | trace | {"headers": {"Traceparent": "theirs"}},
                {"type": "exec", "program": "note"} | trace)]
        for name in names:
            assert one.wait_for_state(name, "delivered")["traceparent"] == PARENT
        seen = {asked.headers["idempotency-key"]: asked.headers for asked in server.asked}
        assert (seen[names[0]]["traceparent"], seen[names[0]]["tracestate"]) == (PARENT, STATE)
        assert seen[names[1]]["traceparent"] == "theirs"
    environment = Path(report).read_text().splitlines()
    assert f"TRACEPARENT={PARENT}" in environment and f"TRACESTATE={STATE}" in environment


@pytest.mark.parametrize("fields, field", [
    ({"traceparent": PARENT.upper()}, "traceparent"),
    ({"traceparent": "00-" + "0" * 32 + f"-{SPAN}-01"}, "traceparent"),
    ({"traceparent": PARENT, "tracestate": "no list"}, "tracestate"), ({"tracestate": STATE}, "tracestate")])
def test_what_is_none_is_refused_by_its_name(running, fields, field):
    with running.submission() as client:
        answer = client.ask(job(**fields))
    assert (answer["error"], answer["field"]) == ("invalid_job", field)
    assert re.match(rf"{field}: ", answer["message"])


def test_a_line_that_is_sent_again_in_another_span_is_the_same_job(running):
    other = PARENT.replace(SPAN, "00f067aa0ba902b7")
    with running.submission() as client:
        first = client.ask(job(idempotency_key="k", traceparent=PARENT))
        again = client.ask(job(idempotency_key="k", traceparent=other))
    assert again["job"] == first["job"] and again["duplicate"]
