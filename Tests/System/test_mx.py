# maild, the mail-job daemon
# SPDX-License-Identifier: Apache-2.0
"""Delivery by MX: which host gets a mail, which mail goes nowhere, and what is tried again."""

import pytest
from aio_server import AioServer, server_context
from mx_stage import black_hole, stage  # noqa: F401
from submission import job
from waiting import until


def test_the_lowest_preference_gets_the_mail_and_the_next_one_while_that_is_away(stage):
    first, second = stage.host(2), stage.host(3)
    stage.names.zone(
        "d.example", "@ MX 20 mx2", "@ MX 10 mx1", "mx1 A 127.0.0.2", "mx2 A 127.0.0.3")
    stage.start()
    attempt = stage.deliver("ann@d.example")
    assert (attempt["relay"], attempt["peer"]) == ("direct", f"127.0.0.2:{stage.port}")
    assert "tls" not in attempt and attempt["fates"][0]["code"] == 250
    first.stop()
    attempt = stage.deliver("ann@D.Example")
    assert attempt["peer"] == f"127.0.0.3:{stage.port}"
    assert len(first.messages) == 1 and len(second.messages) == 1
    assert first.faults == [] and second.faults == []
    assert stage.direct["delivered"] == 2 and stage.direct["destinations"] == 1 and stage.direct["away"] == []


def test_equal_preferences_share_the_mail(stage):
    servers = [stage.host(number) for number in (2, 3, 4)]
    stage.names.zone("d.example", *(f"@ MX 5 mx{n}\nmx{n} A 127.0.0.{n}" for n in (2, 3, 4)))
    stage.start(relay={"messages_per_connection_max": 1})
    stage.submit_all(*(job(to="ann@d.example") for _ in range(60)))
    until(lambda: sum(len(server.messages) for server in servers) == 60, "60 messages")
    # Of 60 a host gets none once in ten thousand million times.
    assert all(server.messages for server in servers)


def test_recipients_of_a_domain_go_together_and_domains_apart(stage):
    one, other = stage.host(2), stage.host(3)
    stage.names.zone("one.example", "@ MX 0 mx", "mx A 127.0.0.2")
    stage.names.zone("other.example", "@ MX 0 mx", "mx A 127.0.0.3")
    stage.start()
    attempt = stage.deliver("a@one.example", "b@other.example", "c@One.example")
    assert [fate["recipient"] for fate in attempt["fates"]] == ["a@one.example", "b@other.example", "c@One.example"]
    assert [message.recipients for message in one.messages] == [["a@one.example", "c@One.example"]]
    assert [message.recipients for message in other.messages] == [["b@other.example"]]
    assert attempt["relay"] == "direct"
    assert sorted(attempt["peer"].split(", ")) == [f"127.0.0.2:{stage.port}", f"127.0.0.3:{stage.port}"]


@pytest.mark.parametrize("recipient, reply", [
    ("a@null.example", "556 5.1.10 the domain null.example takes no mail (null MX)"),
    ("a@gone.example", "550 5.1.2 the domain gone.example does not exist"),
    ("a@empty.example", "550 5.4.4 the domain empty.example has neither MX nor address"),
    ("a@hollow.example", "550 5.4.4 no MX of hollow.example has an address"),
    ("a@ours.example",
     "550 5.4.6 the mail of ours.example is for this host itself (client.example), which takes none: give it a route"),
    ("a@inward.example", "550 5.4.4 inward.example takes its mail at mx.inward.example (127.0.0.2), "
     "which is a loopback address"),
    ("a@[127.0.0.2]", "550 5.4.4 [127.0.0.2] takes its mail at 127.0.0.2, which is a loopback address"),
])
def test_mail_that_no_server_takes_fails_at_once(stage, recipient, reply):
    server = stage.host(2)
    stage.names.zone("null.example", "@ MX 0 .", "@ A 127.0.0.2")
    stage.names.zone("empty.example", "@ TXT nothing")
    stage.names.zone("hollow.example", "@ MX 10 mx", "@ MX 20 gone.example.", "mx TXT nothing", "@ A 127.0.0.2")
    stage.names.zone("ours.example", "@ MX 10 client.example.", "@ MX 20 mx", "mx A 127.0.0.2")
    stage.names.zone("inward.example", "@ MX 10 mx", "mx A 127.0.0.2")
    stage.start(relay={"private_addresses": "inward" not in recipient and "[" not in recipient})
    attempt, said = stage.attempt(stage.submit(recipient), "failed")
    assert said == reply and attempt["fates"][0]["verdict"] == "rejected"
    assert server.sessions == []


@pytest.mark.parametrize("recipient, peer", [
    ("a@plain.example", "127.0.0.2"), ("a@alias.more.example", "127.0.0.2"), ("a@[127.0.0.2]", "127.0.0.2"),
    ("a@six.example", "[::1]"), ("a@[IPv6:::1]", "[::1]"), ("a@both.example", "[::1]")])
def test_the_address_is_used_where_there_is_no_mx(stage, recipient, peer):
    four = stage.host(2)
    six = stage.host("::1")
    stage.names.zone("plain.example", "@ A 127.0.0.2")
    stage.names.zone("more.example", "alias CNAME real.example.")
    stage.names.zone("real.example", "@ MX 10 mx", "mx CNAME plain.example.")
    stage.names.zone("six.example", "@ AAAA ::1")
    stage.names.zone("both.example", "@ AAAA ::1", "@ A 127.0.0.2")
    stage.start()
    assert stage.deliver(recipient)["peer"] == f"{peer}:{stage.port}"
    assert len(four.messages) + len(six.messages) == 1


def test_an_mx_lookup_that_fails_waits_and_is_never_taken_for_no_mx(stage):
    server = stage.host(2)
    stage.names.zone("d.example", "@ A 127.0.0.2")
    stage.names.faults["d.example"] = "SERVFAIL"
    stage.start(retry={"first_seconds": 0.5, "wait_seconds_max": 1})
    name = stage.submit("a@d.example")
    attempt = stage.wait_for_deferral(name, "no DNS answer for d.example (MX): SERVFAIL")
    fate = attempt["fates"][0]
    assert (fate["verdict"], fate["code"], fate["enhanced"]) == ("deferred", 451, "4.4.3")
    assert stage.direct["breaker"] == "closed", "it is the domain's trouble, and not the relay's"
    assert server.messages == []
    del stage.names.faults["d.example"]
    stage.maild.wait_for_state(name, "delivered")
    assert stage.maild.show(name)["job"]["attempts"] > 1


def test_without_a_name_server_nothing_is_tried_and_no_attempt_used_up(stage):
    server = stage.host(2)
    stage.names.zone("d.example", "@ MX 0 mx", "mx A 127.0.0.2")
    stage.names.stop()
    one = stage.start()
    name = stage.submit("a@d.example", max_attempts=1)
    until(lambda: stage.direct["breaker"] == "open", "the relay is away")
    assert stage.direct["cause"] == f"451 4.4.3 no name server answers (127.0.0.1:{stage.names.port})"
    assert stage.direct["away"] == []
    shown = one.show(name)
    assert (shown["job"]["state"], shown["job"]["attempts"], shown["history"]) == ("scheduled", 0, [])
    stage.names.start()
    one.wait_for_state(name, "delivered", seconds=40)
    assert len(server.messages) == 1 and stage.direct["breaker"] == "closed"


def test_a_domain_that_is_out_of_reach_uses_up_its_attempts(stage):
    stage.host(2)
    stage.names.zone("away.example", "@ MX 0 mx", "mx A 127.0.0.9")
    one = stage.start(retry={"first_seconds": 0.2, "wait_seconds_max": 0.2})
    name = stage.submit("a@away.example", max_attempts=3)
    attempt, said = stage.attempt(name, "failed")
    assert said == f"451 4.4.1 could not connect to mx.away.example:{stage.port}: Connection refused"
    assert one.show(name)["job"]["attempts"] == 3
    assert attempt["fates"][0]["verdict"] == "deferred"
    [away] = stage.direct["away"]
    assert away["domain"] == "away.example" and "Connection refused" in away["cause"]
    assert stage.direct["breaker"] == "closed"
    page = one.mailctl("relays").stdout
    assert "direct: away.example is away" in page and "Connection refused" in page, page
    assert "away.example" not in one.http("/metrics")[2], "a domain is no label"


def test_a_slow_first_address_holds_up_a_mail_for_no_more_than_a_moment(stage):
    server = stage.host(2)
    stage.names.zone("d.example", "@ MX 0 mx", "mx AAAA ::1", "mx A 127.0.0.2")
    with black_hole("::1", stage.port):
        stage.start()
        attempt = stage.deliver("a@d.example")
    # RFC 8305 §5: the next address after 250 ms; a time-out would take fifteen seconds.
    assert attempt["peer"] == f"127.0.0.2:{stage.port}" and attempt["seconds"] < 5
    assert len(server.messages) == 1


@pytest.mark.parametrize("trouble", ["554 5.7.1 not you", "421 4.3.2 too busy"])
def test_a_host_that_will_not_talk_is_left_for_the_next(stage, trouble):
    first, second = stage.host(2, greeting=trouble), stage.host(3)
    stage.names.zone("d.example", "@ MX 10 mx1", "@ MX 20 mx2", "mx1 A 127.0.0.2", "mx2 A 127.0.0.3")
    stage.start()
    assert stage.deliver("a@d.example")["peer"] == f"127.0.0.3:{stage.port}"
    assert len(first.sessions) == 1 and len(second.messages) == 1


@pytest.mark.parametrize("reply, moves", [
    ("421 4.3.2 going down", True), ("452 4.3.1 disk full", True), ("450 4.2.1 mailbox busy", False),
    ("451 4.7.1 greylisted", False)])
def test_a_hosts_own_trouble_leads_to_the_next_and_the_recipients_does_not(stage, reply, moves):
    first = stage.host(2, script=lambda _, verb, __: reply if verb == "RCPT" else None)
    second = stage.host(3)
    stage.names.zone("d.example", "@ MX 10 mx1", "@ MX 20 mx2", "mx1 A 127.0.0.2", "mx2 A 127.0.0.3")
    stage.start()
    name = stage.submit("a@d.example")
    if moves:
        attempt, _ = stage.attempt(name, "delivered")
        assert attempt["peer"] == f"127.0.0.2:{stage.port}, 127.0.0.3:{stage.port}"
        assert stage.maild.show(name)["job"]["attempts"] == 1
    else:
        assert stage.wait_for_deferral(name, reply.split(" ", 2)[2])["peer"] == f"127.0.0.2:{stage.port}"
        assert second.sessions == []
    assert len(first.sessions) == 1


def test_a_domain_whose_hosts_all_say_521_takes_no_mail(stage):
    stage.host(2, greeting="521 5.3.2 no mail here, ever")
    stage.names.zone("d.example", "@ MX 0 mx", "mx A 127.0.0.2")
    stage.start()
    _, said = stage.attempt(stage.submit("a@d.example"), "failed")
    assert said == "521 5.3.2 no mail here, ever"


def test_connections_are_used_again_by_all_domains_of_a_host(stage):
    server = stage.host(2)
    for name in ("a", "b", "c"):
        stage.names.zone(f"{name}.example", "@ MX 0 mx.host.example.")
    stage.names.zone("host.example", "mx A 127.0.0.2")
    stage.start()
    for number in range(9):
        stage.deliver(f"x@{'abc'[number % 3]}.example")
    assert len(server.messages) == 9 and len(server.sessions) == 1
    assert stage.direct["connections"] == stage.direct["idle"] == 1
    assert stage.maild.stop() == 0
    assert server.sessions[0].ended_by == "QUIT"


def test_mail_is_encrypted_where_that_is_offered_and_in_clear_where_it_fails(stage):
    with AioServer(tls_context=server_context()) as secure:
        stage.port = secure.port
        stage.names.zone("secure.example", "@ A 127.0.0.1")
        stage.names.zone("broken.example", "@ A 127.0.0.2")

        def script(session, verb, _):
            if verb == "STARTTLS":
                session.server.loop.call_later(0.1, session.transport.abort)
                return "220 2.0.0 but there is nothing behind it"

        broken = stage.host(2, extensions=("STARTTLS",), script=script)
        stage.start()
        assert stage.deliver("a@secure.example")["tls"] == "TLSv1.3"
        assert "tls" not in stage.deliver("a@broken.example")
        assert len(secure.recorder.envelopes) == 1 and len(broken.messages) == 1
        stage.maild.configure(relay=stage.relay(tls="required"), dns=stage.names.settings)
        assert stage.maild.mailctl("reload").returncode == 0
        stage.wait_for_deferral(stage.submit("a@broken.example"), "no TLS with broken.example")
        stage.wait_for_deferral(stage.submit("a@secure.example"), "its certificate is not")
