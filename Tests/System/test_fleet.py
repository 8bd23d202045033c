# maild, the mail-job daemon
# SPDX-License-Identifier: Apache-2.0
"""One queue on PostgreSQL: for one maild as a file would be, and for two who do each other's work."""

import json
import signal
import time
from collections import Counter

import pytest
from crash_harness import number_of
from postgresql import PostgreSQL
from submission import job
from waiting import until

LEASE_SECONDS = 15
"""After which a node that says nothing is taken for dead, and as long again until another may find out."""


@pytest.fixture
def database():
    server = PostgreSQL()
    yield server
    server.clean_up()


@pytest.fixture
def node(maild, database):
    """Makes nodes of the fleet, not yet started."""
    names = iter("abcdefgh")

    def make(**settings):
        retry = {"first_seconds": 0.2, "wait_seconds_max": 0.5}
        spool = {"database": database.uri, "node": next(names)}
        return maild(**{"workers": 4, "retry": retry, "spool": spool} | settings)

    return make


def wait_for_end(database, count, *nodes):
    """`count` jobs have ended, and the nodes know that nothing waits."""
    until(lambda: database.ask("SELECT count(*) FROM finished") == [f"{count}"], f"{count} have ended")
    for each in nodes:
        each.wait_for_counts(ready=0, scheduled=0, running=0)


def submit(maild, count, first=0):
    with maild.submission() as client:
        client.send(*(job(headers={"X-Number": f"{n}"}) for n in range(first, first + count)))
        return [answer["job"] for answer in client.answers(count)]


def test_one_node_delivers_keeps_and_finds_again(node, judge, database):
    server = judge()
    one = node(relay=server.settings()).start()
    ids = submit(one, 50)
    wait_for_end(database, 50, one)
    assert sorted(map(number_of, server.messages)) == list(range(50))
    one.mailctl("pause")
    waiting = submit(one, 3, first=50)
    one.restart()
    one.wait_for_counts(ready=3)
    assert one.show(ids[0])["job"]["state"] == "delivered"
    cancelled = one.mailctl("cancel", waiting[0])
    assert cancelled.returncode == 0, cancelled.stderr
    one.mailctl("resume")
    wait_for_end(database, 53, one)
    assert sorted(map(number_of, server.messages)) == [*range(50), 51, 52]
    assert server.faults == []


def test_a_database_that_is_away_makes_read_only_and_comes_back_by_itself(node, judge, database):
    server = judge(hold=True)
    one = node(relay=server.settings()).start()
    submit(one, 1)
    until(lambda: server.held, "one is in hand")
    database.stop()
    with one.submission() as client:
        answer = client.ask(job())
        assert answer["error"] == "read_only", answer
    # Delivered while nobody can write it down: that is not forgotten.
    server.release()
    until(lambda: len(server.messages) == 1, "the one in hand arrives")
    database.start()
    wait_for_end(database, 1)
    until(lambda: submit_or_none(one), "jobs are taken again")
    wait_for_end(database, 2, one)
    assert len(server.messages) == 2
    assert server.faults == []


def submit_or_none(maild):
    with maild.submission() as client:
        return client.ask(job(headers={"X-Number": "1"})).get("job")


def test_what_one_node_takes_another_delivers(node, judge, database):
    server = judge()
    taker, giver = node(relay=server.settings()).start(), node(relay=server.settings()).start()
    taker.mailctl("pause")
    ids = submit(taker, 20)
    until(lambda: len(server.messages) == 20, "the other node delivers them")
    wait_for_end(database, 20, taker, giver)
    assert giver.show(ids[0])["job"]["state"] == "delivered"
    assert len({identifier[-2:] for identifier in ids}) == 1, "ids of one node have its bits"
    assert server.faults == []


def test_both_work_on_what_is_there_and_nothing_is_sent_twice(node, judge, database):
    server = judge(patience=0.005)
    nodes = [node(relay=server.settings()).start() for _ in range(2)]
    ids = submit(nodes[0], 200) + submit(nodes[1], 200, first=200)
    assert len(set(ids)) == 400
    until(lambda: len(server.messages) >= 400, "all arrive", seconds=60)
    wait_for_end(database, 400, *nodes)
    assert Counter(map(number_of, server.messages)) == Counter(range(400))
    assert all(" delivered: " in each.log() for each in nodes), "one has done nothing"
    assert server.faults == []


def test_a_killed_node_gives_its_jobs_to_the_other_when_its_lease_ends(node, judge, database):
    server = judge(hold=True)
    first = node(relay=server.settings()).start()
    submit(first, 40)
    until(lambda: len(server.held) == 4, "its workers are busy")
    second = node(relay=server.settings()).start()
    until(lambda: len(server.held) == 8, "the other has begun too")
    first.kill()
    server.release()
    until(lambda: len(set(map(number_of, server.messages))) == 40, "all arrive", seconds=4 * LEASE_SECONDS)
    wait_for_end(database, 40, second)
    twice = [number for number, times in Counter(map(number_of, server.messages)).items() if times > 1]
    assert len(twice) <= 4, f"twice, though not in hand: {twice}"
    assert database.ask("SELECT count(*) FROM jobs") == ["0"]


def test_a_killed_node_that_starts_again_goes_on_at_once(node, judge, database):
    server = judge(hold=True)
    one = node(relay=server.settings()).start()
    submit(one, 10)
    until(lambda: len(server.held) == 4, "its workers are busy")
    one.kill()
    server.release()
    one.start()
    until(lambda: len(set(map(number_of, server.messages))) == 10, "all arrive")
    wait_for_end(database, 10, one)


def test_a_node_that_slept_past_its_lease_settles_nothing_that_is_anothers(node, judge, database):
    server = judge(hold=True)
    sleeper = node(workers=1, relay=server.settings()).start()
    [identifier] = submit(sleeper, 1)
    until(lambda: server.held, "it is in hand")
    sleeper.process.send_signal(signal.SIGSTOP)
    try:
        other = node(workers=1, relay=server.settings()).start()
        until(lambda: len(server.held) == 2, "the other has it too", seconds=4 * LEASE_SECONDS)
    finally:
        sleeper.process.send_signal(signal.SIGCONT)
    server.release(1)
    until(lambda: "settled twice" in sleeper.log() or "taken for dead" in sleeper.log(), "the sleeper finds out")
    assert database.ask("SELECT count(*) FROM finished") == ["0"], "it has settled what is another's"
    server.release()
    other.wait_for_state(identifier, "delivered")
    attempts = [line for line in other.show(identifier)["history"] if "relay" in line]
    assert len(attempts) == 1, attempts
    wait_for_end(database, 1, sleeper, other)


def test_a_name_that_is_taken_is_refused(node, maild, database):
    node().start()
    impostor = maild(spool={"database": database.uri, "node": "a"}).spawn()
    assert impostor.process.wait(20) == 74
    assert "another node of the fleet is called a" in impostor.log()


def test_what_was_submitted_at_one_node_is_a_repeat_at_the_other(node):
    one, other = node().start(), node().start()
    keyed = job(idempotency_key="order-1")
    with one.submission() as client, other.submission() as neighbour:
        first = client.ask(keyed)
        again = neighbour.ask(keyed)
    assert again["job"] == first["job"]


def test_status_of_the_fleet_tells_every_node(node, judge, database):
    server = judge(hold=True)
    one, other = node(relay=server.settings()).start(), node(relay=server.settings()).start()
    # More than the one that is quicker has workers and takes into its hands.
    submit(one, 12)
    until(lambda: len(server.held) == 8, "all workers are busy")

    def told():
        fleet = one.control.call("Fleet")
        claimed = sum(each["claimed"] for each in fleet["nodes"])
        return fleet if (fleet["running"], fleet["live"], claimed) == (8, 2, 12) else None

    fleet = until(told, "both have told what they have in hand")
    assert (fleet["node"], fleet["workers"], fleet["waiting"], fleet["format"]) == ("a", 8, 4, 1)
    assert [each["name"] for each in fleet["nodes"]] == ["a", "b"]
    assert [each["metrics"] for each in fleet["nodes"]] == [f"127.0.0.1:{each.port}" for each in (one, other)]
    assert json.loads(other.mailctl("status", "--fleet", "--json").stdout)["node"] == "b"
    text = one.mailctl("status", "--fleet").stdout
    assert "2 live; asked: a" in text and "8 of 8 running" in text, text
    assert [line.split()[:2] for line in text.splitlines()[5:]] == [["a", "live"], ["b", "live"]], text
    # As it was when the node last renewed its lease.
    for sample in ('maild_fleet_nodes{state="live"} 2', "maild_fleet_jobs_running 8"):
        until(lambda: sample in one.http("/metrics")[2], sample)
    server.release()
    wait_for_end(database, 12, one, other)
    assert other.stop() == 0
    assert [each["state"] for each in one.control.call("Fleet")["nodes"]] == ["live", "stopped"]


def test_a_node_that_is_gone_is_told_as_expired(node, database):
    one, other = node().start(), node().start()
    other.kill()
    until(lambda: one.control.call("Fleet")["expired"] == 1, "its lease has run out", 3 * LEASE_SECONDS)
    [gone] = [each for each in one.control.call("Fleet")["nodes"] if each["name"] == "b"]
    assert gone["state"] == "expired" and "running" not in gone
    until(lambda: 'maild_fleet_nodes{state="expired"} 1' in one.http("/metrics")[2], "the metrics say so")
    assert "1 expired" in one.mailctl("status", "--fleet").stdout
    other.start()
    until(lambda: one.control.call("Fleet")["live"] == 2, "it is back")


def test_who_shares_no_spool_says_so(running):
    asked = running.mailctl("status", "--fleet")
    assert (asked.returncode, asked.stdout) == (69, "")
    assert "has its spool for itself" in asked.stderr


def test_a_queue_is_paused_and_resumed_for_all_nodes(node, judge, database):
    server = judge()
    settings = {"relay": server.settings(), "queue": {"bulk": {"weight": 1}}}
    one, other = node(**settings).start(), node(**settings).start()
    assert one.mailctl("pause", "--queue", "bulk").returncode == 0

    def is_paused(each):
        [bulk] = [queue for queue in each.status()["queues"] if queue["name"] == "bulk"]
        return bulk["paused"]

    until(lambda: is_paused(other), "the other obeys")
    with other.submission() as client:
        client.send(*(job(headers={"X-Number": f"{n}"}, queue="bulk") for n in range(20)))
        assert all("job" in answer for answer in client.answers(20))
    submit(one, 20, first=20)
    until(lambda: len(server.messages) == 20, "those of the other queue arrive")
    assert {number_of(message) for message in server.messages} == set(range(20, 40))
    assert database.ask("SELECT count(*) FROM jobs WHERE lease <> 0") == ["0"], "paused jobs are nobody's"
    # A start finds the pause, and whoever resumes does so for all.
    one.restart()
    assert is_paused(one)
    assert other.mailctl("resume", "--queue", "bulk").returncode == 0
    until(lambda: len(server.messages) == 40, "they arrive")
    until(lambda: not is_paused(one), "the first obeys")
    wait_for_end(database, 40, one, other)


def test_nodes_share_what_a_relay_may_be_given(node, judge, database):
    server = judge()
    settings = {"relay": server.settings(messages_per_second=10)}
    nodes = [node(**settings).start() for _ in range(2)]
    for each in nodes:
        until(lambda: each.control.call("Fleet")["live"] == 2, "they know each other")
        until(lambda: "2 nodes" in each.notices.said("STATUS=")[-1], "it reckons with both")
    nodes[0].mailctl("pause")
    submit(nodes[0], 60)
    began = time.monotonic()
    nodes[0].mailctl("resume")
    until(lambda: len(server.messages) == 60, "all arrive", 60)
    # 60 at 10 a second. Twice as fast, had each node taken all of it.
    assert time.monotonic() - began > 4, "the nodes together were faster than the relay's limit"
    wait_for_end(database, 60, *nodes)


def test_tables_of_a_later_format_are_refused_with_what_to_do(node, database):
    one = node().start()
    assert one.stop() == 0
    database.ask("UPDATE format SET version = 99")
    one.spawn()
    assert one.process.wait(20) != 0
    assert "the tables have format 99, this maild knows 1; install the later maild" in one.log()


def test_an_older_node_ends_when_it_finds_that_the_format_was_raised(node, database):
    one = node().start()
    # What a later maild does once the lease of a node that sleeps has run out.
    database.ask("UPDATE format SET version = 99; UPDATE nodes SET session = 0")
    assert one.process.wait(30) != 0
    assert "install the later maild" in one.log()
