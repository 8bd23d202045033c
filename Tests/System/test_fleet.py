# maild, the mail-job daemon
# SPDX-License-Identifier: Apache-2.0
"""One queue on PostgreSQL: for one maild as a file would be, and for two who do each other's work."""

import signal
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
