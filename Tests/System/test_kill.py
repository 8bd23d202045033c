# maild, the mail-job daemon
# SPDX-License-Identifier: Apache-2.0
"""Deaths at random moments under load: every answered job arrives, none is invented. `make torture` does the same for
as long as it is told."""

import os
import random
import sqlite3

import pytest
from crash_harness import faults_of_history, torment
from smtp_judge import Received

KILLS = 20


@pytest.mark.parametrize("how", ["by hand", "inherited"])
def test_every_answered_job_arrives_through_twenty_kills(maild, judge, how):
    seed = int(os.environ.get("MAILD_SEED", random.SystemRandom().randrange(1 << 32)))
    print(f"MAILD_SEED={seed}")
    server = judge()
    one = maild(workers=8, retry={"first_seconds": 0.2, "wait_seconds_max": 0.5}, relay=server.settings()).start(how)
    spawn = {"by hand": one.spawn, "inherited": one._inherit}[how]
    load, _, faults = torment(one, server, spawn, seed, lambda _, kills: kills < KILLS)
    assert faults == []
    assert len(load.answered) > 500, "too little load to mean anything"
    assert one.stop() == 0
    with sqlite3.connect(one.directory / "spool.db") as spool:
        assert spool.execute("PRAGMA integrity_check").fetchone() == ("ok",)


class History:
    """What a run might have come to, made up."""

    def __init__(self, answered, messages, sent=10):
        self.answered, self.sent, self.odd = answered, sent, []
        self.messages = [Received("", [], f"X-Number: {n}\r\nMessage-ID: <{i}>\r\n".encode(), 0) for n, i in messages]
        self.faults = []


@pytest.mark.parametrize("answered, messages, fault", [
    ({1: "A"}, [(1, "a")], None),
    ({1: "A"}, [(1, "a"), (1, "a")], None),
    ({1: "A", 2: "B"}, [(1, "a")], "lost"),
    ({}, [(77, "a")], "never sent"),
    ({1: "A"}, [(1, "a"), (1, "b")], "Message-IDs"),
    ({2: "A"}, [(2, "a"), (2, "a")], "no kill lies between"),
    ({1: "A"}, [(1, "a"), (1, "a"), (1, "a")], "no kill lies between"),
    ({1: "A", 2: "A"}, [(1, "a"), (2, "b")], "used twice"),
])
def test_the_judgement_itself_sees_what_is_wrong(answered, messages, fault):
    from crash_harness import Kill
    history = History(answered, messages)
    faults = faults_of_history(history, history, [Kill(1, 1, {1})])
    assert (faults == []) if fault is None else any(fault in found for found in faults), faults
