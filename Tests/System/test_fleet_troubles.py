# maild, the mail-job daemon
# SPDX-License-Identifier: Apache-2.0
"""A fleet in a network whose links are cut, and under every trouble at once. `make torture FLEET=1` does the latter for
as long as it is told."""

import os
import random
from collections import Counter

import pytest
from crash_harness import number_of
from fleet_harness import BACK_SECONDS, LEASE_SECONDS, FleetLoad, Stage, faults_of_fleet, torment
from network import Network, obstacle
from smtp_judge import Received
from submission import job
from waiting import until


@pytest.fixture
def stage(tmp_path):
    """`stage(count)` makes a fleet in a network of its own."""
    reason = obstacle()
    if reason:
        (pytest.fail if os.environ.get("CI") else pytest.skip)(reason)
    made = []

    def make(count):
        made.append(Stage(tmp_path, count, Network()))
        return made[-1]

    yield make
    for each in made:
        for node in each.nodes:
            print(f"--- the end of {node.name}'s log:", *node.maild.log().splitlines()[-40:], sep="\n")
        each.clean_up()


def test_a_node_that_is_cut_off_takes_no_jobs_gives_up_its_own_and_comes_back(stage):
    stage = stage(2)
    server, (cut, other) = stage.server, stage.nodes
    server.hold = True
    with cut.maild.submission() as client:
        client.send(*(job(ref=f"{n}", headers={"X-Number": f"{n}"}) for n in range(40)))
        ids = [answer["job"] for answer in client.answers(40)]
    until(lambda: len(server.held) == 16, "the workers of both are busy")
    claimed = stage.claimed_by("a")
    stage.network.cut(cut.host)
    with cut.maild.submission() as client:
        answer = client.ask(job())
        assert answer["error"] == "read_only", answer
    until(lambda: "the database is away" in cut.maild.notices.said("STATUS=")[-1], "its status says so",
          3 * LEASE_SECONDS)
    server.release()
    until(lambda: {number_of(message) for message in server.messages} == set(range(40)),
          "all arrive, those of the cut node by the other", 4 * LEASE_SECONDS)
    until(lambda: stage.database.ask("SELECT count(*) FROM finished") == ["40"], "all are on record", 4 * LEASE_SECONDS)
    twice = {number for number, times in Counter(map(number_of, server.messages)).items() if times > 1}
    assert twice and twice <= claimed, (twice, claimed)
    assert len({message.message_id for message in server.messages}) == 40, "a repeat has its Message-ID"
    stage.network.join(cut.host)
    until(cut.is_serving, "it takes jobs again", BACK_SECONDS)
    until(lambda: "settled twice" in cut.maild.log() or "taken for dead" in cut.maild.log(), "it finds out")
    # Each has one history, and one attempt in it: what the cut node would have settled was another's.
    for identifier in ids:
        shown = other.maild.show(identifier)
        assert shown["job"]["state"] == "delivered"
        assert len([entry for entry in shown["history"] if "relay" in entry]) == 1, shown
    with cut.maild.submission() as client:
        assert "job" in client.ask(job(ref="40", headers={"X-Number": "40"}))
    until(lambda: stage.database.ask("SELECT count(*) FROM finished") == ["41"], "and it is delivered")
    assert server.faults == []


def test_every_answered_job_arrives_through_every_trouble(stage):
    seed = int(os.environ.get("MAILD_SEED", random.SystemRandom().randrange(1 << 32)))
    print(f"MAILD_SEED={seed}")
    loads, faults = torment(stage(3), seed, shorts=10)
    assert faults == []
    assert sum(len(load.answered) for load in loads) > 300, "too little load to mean anything"


class History:
    def __init__(self, messages):
        self.messages = [Received("", [], f"X-Number: {n}\r\nMessage-ID: <{i}>\r\n".encode(), 0) for n, i in messages]
        self.faults = []


@pytest.mark.parametrize("answered, messages, fault", [
    ({1: "A"}, [(1, "a")], None),
    ({1: "A"}, [(1, "a"), (1, "a")], None),
    ({1: "A", 2: "B"}, [(1, "a")], "lost"),
    ({}, [(77, "a")], "never sent"),
    ({1: "A"}, [(1, "a"), (1, "b")], "Message-IDs"),
    ({2: "A"}, [(2, "a"), (2, "a")], "no node in trouble had it"),
    ({1: "A"}, [(1, "a"), (3, "b"), (4, "c"), (1, "a"), (1, "a")], "no node in trouble had it"),
    ({1: "A", 2: "A"}, [(1, "a"), (2, "b")], "used twice"),
])
def test_the_judgement_itself_sees_what_is_wrong(answered, messages, fault):
    from fleet_harness import Trouble
    load = FleetLoad.__new__(FleetLoad)
    load.first, load.sent, load.answered, load.odd = 0, 10, answered, []
    faults = faults_of_fleet([load], History(messages), [Trouble("kill a", {1}, before=1, after=1)])
    assert (faults == []) if fault is None else any(fault in found for found in faults), faults
