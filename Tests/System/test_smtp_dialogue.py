# maild, the mail-job daemon
# SPDX-License-Identifier: Apache-2.0
"""The SMTP dialogue itself, before a server that judges every byte of it and fails as it is told."""

import re
import socket
from email import message_from_bytes, policy

import pytest
from smtp_judge import DROP, SMTPJudge
from submission import job
from waiting import free_port, until

QUICK = {"first_seconds": 0.2, "wait_seconds_max": 0.4}


def submit(maild, *jobs):
    """The ids of `jobs`, all of which must be taken."""
    with maild.submission() as client:
        return [answer["job"] for answer in client.send(*jobs).answers(len(jobs))]


@pytest.mark.parametrize("pipelining", [True, False], ids=["offered", "not offered"])
def test_pipelining_is_used_exactly_where_it_is_offered(maild, judge, pipelining):
    server = judge(pipelining=pipelining, patience=0.02)
    one = maild(relay=server.settings(connections_max=1)).start()
    submit(one, *(job(to=["a@example.com", "b@example.com"]) for _ in range(5)))
    server.wait_for_messages(5)
    assert server.faults == []
    together = [write for session in server.sessions for write in session.writes
                if b"MAIL FROM" in write and b"RCPT TO" in write]
    assert bool(together) == pipelining


def test_ehlo_says_the_configured_name_and_one_connection_serves_many_messages(maild, judge):
    server = judge()
    one = maild(workers=4, relay=server.settings(connections_max=1)).start()
    submit(one, *(job() for _ in range(200)))
    server.wait_for_messages(200)
    assert len(server.sessions) == 1 and server.verbs().count("EHLO") == 1
    assert ("EHLO", "client.example") in server.sessions[0].commands
    assert server.faults == []


def test_a_connection_ends_with_quit_after_its_share_of_messages(maild, judge):
    server = judge()
    one = maild(workers=1, relay=server.settings(connections_max=1, messages_per_connection_max=10)).start()
    submit(one, *(job() for _ in range(35)))
    server.wait_for_messages(35)
    until(lambda: sum(s.ended_by == "QUIT" for s in server.sessions) >= 3, "three connections have ended by QUIT")
    per_session = [sum(m.session == s.number for m in server.messages) for s in server.sessions]
    assert per_session == [10, 10, 10, 5]
    assert server.faults == []


def test_an_idle_connection_is_kept_for_its_time_and_ends_with_quit(maild, judge):
    server = judge()
    one = maild(relay=server.settings(idle_seconds_max=0.5)).start()
    submit(one, job())
    until(lambda: server.sessions and server.sessions[0].ended_by, "the idle connection ends")
    assert server.sessions[0].ended_by == "QUIT" and len(server.messages) == 1
    submit(one, job())
    server.wait_for_messages(2)
    assert len(server.sessions) == 2


def test_no_more_connections_are_open_than_the_relay_may_have(maild, judge):
    server = judge(hold=True)
    one = maild(workers=20, relay=server.settings(connections_max=3)).start()
    submit(one, *(job() for _ in range(30)))
    server.wait_for_held(3)
    assert one.status()["relays"][0]["connections"] == 3
    server.release()
    server.wait_for_messages(30)
    assert server.holding_most == 3 and len(server.sessions) == 3


def test_lines_of_dots_arrive_as_they_were_written(maild, judge):
    server = judge()
    one = maild(relay=server.settings()).start()
    texts = [".", "..", ".\n.", "a\n.\nb", "a\n..\n.b\n...", ".\n\n.\n", "x" * 77 + ".\n.", "\n.\n"]
    submit(one, *(job(subject=str(n), content=text) for n, text in enumerate(texts)))
    bodies = {}
    for message in server.wait_for_messages(len(texts)):
        head, body = message.data.split(b"\r\n\r\n", 1)
        bodies[int(re.search(rb"Subject: (\d+)", head)[1])] = body.decode().replace("\r\n", "\n").rstrip("\n")
    assert bodies == {n: text.rstrip("\n") for n, text in enumerate(texts)}
    assert server.faults == []


def test_a_line_longer_than_smtp_allows_arrives_in_pieces_that_decode_to_it(maild, judge):
    server = judge()
    one = maild(relay=server.settings()).start()
    submit(one, job(content="long " * 1000))
    [message] = server.wait_for_messages(1)
    assert max(len(line) for line in message.data.split(b"\r\n")) <= 998
    assert message_from_bytes(message.data, policy=policy.SMTP).get_content().split() == ["long"] * 1000


def test_a_4xx_after_the_data_is_tried_again_with_the_same_message_id(maild, judge):
    replies = ["451 4.3.0 later", "421 4.3.2 going down"]
    server = judge(script=lambda session, verb, _: replies.pop(0) if verb == "." and replies else None)
    one = maild(retry=QUICK, relay=server.settings()).start()
    [name] = submit(one, job())
    history = one.wait_for_state(name, "delivered")["history"]
    assert [(fate["verdict"], fate["code"]) for attempt in history for fate in attempt["fates"]] == [
        ("deferred", 451), ("deferred", 421), ("delivered", 250)]
    assert len(server.messages) == 1


def test_a_5xx_to_mail_rcpt_or_data_fails_the_job_and_leaves_the_connection_usable(maild, judge):
    def script(session, verb, argument):
        if verb == "MAIL" and "blocked@" in argument:
            return "554 5.7.1 blocked"
        if verb == "RCPT" and "gone@" in argument:
            return "550 5.1.1 gone"
        if verb == "." and b"Subject: spam" in argument.data:
            return "554 5.6.0 looks like spam"
        return None

    server = judge(script=script)
    one = maild(workers=1, relay=server.settings(connections_max=1)).start()
    bad = [job(**{"from": "blocked@example.org"}), job(to="gone@example.com"), job(subject="spam")]
    names = submit(one, *bad, job(subject="fine"))
    for name, code in zip(names[:3], (554, 550, 554)):
        shown = one.wait_for_state(name, "failed")
        assert [fate["code"] for fate in shown["history"][-1]["fates"]] == [code]
        assert str(code) in shown["job"]["last_reply"]
    one.wait_for_state(names[3], "delivered")
    assert len(server.sessions) == 1 and server.faults == []
    assert one.counts()["failed"] == 3


def test_a_connection_that_breaks_after_the_data_is_an_unknown_fate_and_tried_again(maild, judge):
    drops = [DROP]
    arrived = []

    def script(session, verb, argument):
        if verb == ".":
            arrived.append(argument.message_id)
            return drops.pop() if drops else None
        return None

    server = judge(script=script)
    one = maild(retry=QUICK, relay=server.settings()).start()
    [name] = submit(one, job())
    first, second = one.wait_for_state(name, "delivered")["history"]
    assert first["fates"][0]["verdict"] == "unknown" and second["fates"][0]["verdict"] == "delivered"
    assert len(arrived) == 2 and len(set(arrived)) == 1


@pytest.mark.parametrize("where", ["EHLO", "MAIL", "RCPT", "DATA"])
def test_a_connection_that_breaks_before_the_data_loses_nothing(maild, judge, where):
    drops = [DROP, DROP]
    server = judge(script=lambda session, verb, _: drops.pop() if verb == where and drops else None)
    one = maild(retry=QUICK, relay=server.settings()).start()
    names = submit(one, *(job(subject=str(n)) for n in range(5)))
    for name in names:
        one.wait_for_state(name, "delivered")
    assert len(server.messages) == 5
    assert not any(fate["verdict"] == "unknown" for name in names for attempt in one.show(name)["history"]
                   for fate in attempt["fates"])


def test_a_greeting_that_refuses_defers(maild, judge):
    server = judge(greeting="554 no service here")
    one = maild(retry=QUICK, relay=server.settings()).start()
    [name] = submit(one, job())
    until(lambda: len(server.sessions) >= 2, "the server is tried again")
    assert one.show(name)["job"]["state"] != "failed"


def test_a_server_that_is_away_is_waited_for(maild, judge):
    port = free_port()
    one = maild(retry=QUICK, relay={"away": {"host": "127.0.0.1", "port": port}}).start()
    names = submit(one, *(job(subject=str(n)) for n in range(10)))
    one.wait_for_counts(ready=0, running=0, scheduled=10, failed=0)
    server = judge(port=port)
    server.wait_for_messages(10)
    for name in names:
        one.wait_for_state(name, "delivered")


def test_max_attempts_and_expires_at_end_a_job_that_stays_deferred(maild, judge):
    server = judge(script=lambda session, verb, _: "450 4.2.1 busy" if verb == "RCPT" else None)
    one = maild(retry=QUICK | {"expiry_seconds": 1}, relay=server.settings()).start()
    counted, timed = submit(one, job(max_attempts=2), job())
    shown = one.wait_for_state(counted, "failed")
    assert len(shown["history"]) == 2
    shown = one.wait_for_state(timed, "failed", "expired")
    assert len(shown["history"]) >= 1


def test_a_slow_server_does_not_hold_up_acceptance(maild, judge):
    server = judge(hold=True)
    one = maild(workers=2, relay=server.settings()).start()
    submit(one, *(job() for _ in range(2)))
    server.wait_for_held(2)
    assert len(submit(one, *(job() for _ in range(2000)))) == 2000
    assert one.counts()["running"] == 2
    server.release()
    server.wait_for_messages(2002)
    assert server.faults == []


def test_eight_bit_text_is_sent_as_such_only_where_the_server_takes_it(maild, judge):
    plain, modern = judge(extensions=()), judge()
    for server in (plain, modern):
        one = maild(relay=server.settings()).start()
        submit(one, job(subject="Grüße", content="Ümlaut"))
        [message] = server.wait_for_messages(1)
        has_8bit = any(byte > 127 for byte in message.data)
        declared = any("BODY=8BITMIME" in argument.upper() for _, argument in server.sessions[0].commands)
        assert declared or not has_8bit
        assert server is modern or not (declared or has_8bit)


def test_the_judge_itself_sees_a_bare_lf_and_a_command_that_comes_too_early():
    server = SMTPJudge(pipelining=False, patience=0.02).start()
    try:
        with socket.create_connection(("127.0.0.1", server.port)) as client:
            client.sendall(b"EHLO x\r\nMAIL FROM:<a@b>\r\nRCPT TO:<a@b>\r\nDATA\r\na\nb\r\n.\r\nQUIT\r\n")
            until(lambda: server.sessions and server.sessions[0].ended_by == "QUIT", "the dialogue has ended")
        assert any("bare CR or LF" in fault for fault in server.faults)
        assert any("before the reply to EHLO" in fault for fault in server.faults)
    finally:
        server.stop()
