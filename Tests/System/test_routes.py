# maild, the mail-job daemon
# SPDX-License-Identifier: Apache-2.0
"""Routes over several relays, what an outage does to jobs, and how fast a relay is given mail."""

import json
import socket
import time

import pytest
from submission import job
from test_metrics import families, total
from waiting import free_port, until


def submit(maild, *jobs):
    with maild.submission() as client:
        return [answer["job"] for answer in client.send(*jobs).answers(len(jobs))]


def relays(maild):
    return {relay["name"]: relay for relay in maild.control.call("Relays")["relays"]}


def address(port):
    return {"host": "127.0.0.1", "port": port}


def numbers(server):
    return sorted(int(line.split()[1]) for message in server.messages
                  for line in message.data.decode().splitlines() if line.startswith("Subject: "))


@pytest.fixture
def silent():
    """A server that takes connections and never says a word."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(64)
        yield listener.getsockname()[1]


def test_an_outage_uses_up_no_attempt_shows_its_cause_and_ends_by_itself(maild, judge):
    port = free_port()
    one = maild(relay={"main": address(port)}).start()
    names = submit(one, *(job(subject=str(n), max_attempts=1) for n in range(300)))
    one.wait_for_counts(ready=0, running=0, scheduled=300, failed=0)
    relay = until(lambda: (found := relays(one)["main"])["breaker"] == "open" and found, "the breaker is open")
    assert relay["cause"] == f"451 4.4.1 could not connect to 127.0.0.1:{port}: Connection refused"
    assert "next_probe_at" in relay and one.status()["relays"][0]["breaker"] != "closed"
    found = families(one)
    assert total(found["maild_relay_breaker_open"], relay="main") == 1
    # Some of them may have come again by now.
    assert 1 <= total(found["maild_relay_waiting"], relay="main") <= 300
    for verb in ("status", "relays"):
        page = one.mailctl(verb).stdout
        assert "main is away" in page and "Connection refused" in page, page
    [told] = json.loads(one.mailctl("relays", "--json").stdout)["relays"]
    assert told["name"] == "main" and told["cause"] == relay["cause"]
    until(lambda: one.log().count("relay main is tried with one mail") >= 2, "two probes have gone")
    for name in names[::50]:
        shown = one.show(name)
        assert (shown["job"]["attempts"], shown["history"]) == (0, [])
    server = judge(port=port)
    server.wait_for_messages(300)
    one.wait_for_counts(ready=0, scheduled=0, running=0, failed=0)
    assert numbers(server) == list(range(300)) and server.faults == []
    assert relays(one)["main"]["breaker"] == "closed" and "cause" not in relays(one)["main"]
    assert one.show(names[0])["job"]["attempts"] == 1
    assert total(families(one)["maild_relay_breaker_open"], relay="main") == 0
    one.notices.wait_for("relay main away")
    for words in ("relay main is away, its mail waits", "relay main is tried", "relay main takes mail again"):
        assert words in one.log()


def test_an_outage_does_not_outlive_expires_at(maild):
    one = maild(relay={"main": address(free_port())}, retry={"expiry_seconds": 2}).start()
    [name] = submit(one, job())
    shown = one.wait_for_state(name, "expired")
    assert shown["job"]["attempts"] == 0 and shown["history"] == []


def test_mail_goes_to_the_second_relay_while_the_first_is_away_and_back_to_it(maild, judge):
    port, second = free_port(), judge()
    one = maild(
        relay={"main": address(port), "spare": address(second.port)},
        route=[{"relays": ["main", "spare"]}]).start()
    names = submit(one, *(job(subject=str(n)) for n in range(50)))
    second.wait_for_messages(50)
    for name in names:
        [attempt] = one.wait_for_state(name, "delivered")["history"]
        assert attempt["relay"] == "spare"
    assert relays(one)["main"]["breaker"] == "open" and relays(one)["spare"]["breaker"] == "closed"
    first = judge(port=port)

    def returned():
        submit(one, job(subject="99"))
        return first.messages
    until(returned, "the first relay has mail again")
    assert relays(one)["main"]["breaker"] == "closed"


def test_recipients_are_parted_by_their_routes_and_judged_one_by_one(maild, judge):
    one_way = judge(script=lambda _, verb, argument: "550 5.1.1 gone" if verb == "RCPT" and "gone@" in argument
                    else None)
    other, news = judge(), judge()
    one = maild(
        default_relay="rest",
        relay={"partner": address(one_way.port), "rest": address(other.port), "news": address(news.port)},
        route=[
            {"recipient_domain": ["partner.example", "*.partner.example"], "relays": ["partner"]},
            {"sender_domain": "news.example", "relays": "news"}]).start()
    name, letter = submit(
        one, job(to=["a@example.com", "b@partner.example", "gone@x.partner.example", "c@example.com"]),
        {"from": "n@news.example", "to": "d@example.com", "subject": "s", "content": "c"})
    [attempt] = one.wait_for_state(name, "failed")["history"]
    assert [(fate["recipient"][:4], fate["verdict"]) for fate in attempt["fates"]] == [
        ("a@ex", "delivered"), ("b@pa", "delivered"), ("gone", "rejected"), ("c@ex", "delivered")]
    one.wait_for_state(letter, "delivered")
    assert len(one_way.messages) == len(other.messages) == len(news.messages) == 1


@pytest.mark.parametrize("trouble", ["away", "silent"])
def test_one_bad_relay_of_two_does_not_delay_the_other(maild, judge, silent, trouble):
    good = judge()
    one = maild(
        workers=4, default_relay="good",
        relay={"good": address(good.port), "bad": address(free_port() if trouble == "away" else silent)},
        route=[{"recipient_domain": "bad.example", "relays": ["bad"]}]).start()
    submit(one, *(job(to="x@bad.example") for _ in range(2000)))
    began = time.monotonic()
    submit(one, *(job(subject=str(n)) for n in range(200)))
    good.wait_for_messages(200)
    assert time.monotonic() - began < 8
    assert numbers(good) == list(range(200))
    assert one.counts()["failed"] == 0


def test_a_rate_is_kept_over_all_workers(maild, judge):
    times = []

    def script(session, verb, argument):
        if verb == ".":
            times.append(time.monotonic())

    server = judge(script=script)
    settings = server.settings()
    settings["judge"]["messages_per_second"] = 20
    one = maild(workers=16, relay=settings).start()
    submit(one, *(job(subject=str(n)) for n in range(100)))
    server.wait_for_messages(100)
    assert times[-1] - times[0] > 4.5
    # A second's worth, the burst of a tenth of one, and what a loaded machine may let bunch up.
    assert all(times[index + 28] - times[index] > 1 for index in range(len(times) - 28))
    assert numbers(server) == list(range(100))


def test_a_relay_that_throttles_is_spared_and_gets_all_its_mail_in_the_end(maild, judge):
    refusals = iter(["451 4.7.1 slow down"] * 20)
    server = judge(script=lambda _, verb, __: next(refusals, None) if verb == "MAIL" else None)
    one = maild(workers=16, retry={"first_seconds": 0.2, "wait_seconds_max": 0.5}, relay=server.settings()).start()
    submit(one, *(job(subject=str(n)) for n in range(40)))
    until(lambda: total(families(one)["maild_relay_concurrency_max"]) > 0, "the relay is spared")
    server.wait_for_messages(40, seconds=60)
    assert numbers(server) == list(range(40))


def test_a_reload_changes_the_routes_of_jobs_that_wait(maild, judge):
    server = judge()
    away = {"main": address(free_port())}
    one = maild(relay=away).start()
    submit(one, *(job(subject=str(n)) for n in range(20)))
    one.wait_for_counts(ready=0, running=0, scheduled=20)
    one.configure(
        relay=away | {"spare": address(server.port)}, route=[{"relays": ["main", "spare"]}])
    finished = one.mailctl("reload", "--json")
    assert finished.returncode == 0, finished.stderr
    assert "route[1]" in json.loads(finished.stdout)["changed"]
    server.wait_for_messages(20)
    assert numbers(server) == list(range(20))


def test_a_route_may_ask_for_a_queue_or_a_tag(maild, judge):
    usual, bulk, urgent = judge(), judge(), judge()
    one = maild(
        default_relay="usual", queue={"news": {"weight": 1}},
        relay={"usual": address(usual.port), "bulk": address(bulk.port), "urgent": address(urgent.port)},
        route=[{"tag": ["urgent", "alarm"], "relays": ["urgent"]}, {"queue": "news", "relays": ["bulk"]}]).start()
    submit(one, job(subject="1"), job(subject="2", queue="news"), job(subject="3", tags=["a", "alarm"], queue="news"),
           job(subject="4", tags=["a"]))
    one.wait_for_counts(ready=0, running=0)
    assert (numbers(usual), numbers(bulk), numbers(urgent)) == ([1, 4], [2], [3])
    one.configure(relay={"usual": address(usual.port)}, route=[{"queue": "nope", "relays": ["usual"]}])
    assert "must be the name of a [queue.NAME]" in one.mailctl("reload").stderr
