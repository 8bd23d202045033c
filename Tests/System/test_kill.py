# maild, the mail-job daemon
# SPDX-License-Identifier: Apache-2.0
"""kill -9 at random moments under load: every answered job arrives, none is invented."""

import os
import random
import re
import sqlite3
import threading
import time
from collections import defaultdict

import pytest
from submission import Submission, job
from waiting import until

ROUNDS = 20
CLIENTS = 4
WAITING_MAX = 3000
"""Jobs that may wait for the SMTP server before the clients hold back: it is written in Python."""


class Load:
    """Clients that submit numbered jobs as long as they can, through every death of maild."""

    def __init__(self, path, received):
        self.path, self.received = path, received
        self.sent = 0
        self.answered = {}
        """Job id by number."""
        self.odd = []
        self._lock, self._ended = threading.Lock(), threading.Event()
        self._threads = [threading.Thread(target=self._run, args=(random.Random(n),)) for n in range(CLIENTS)]

    def __enter__(self):
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self._ended.set()
        for thread in self._threads:
            thread.join()

    def _run(self, chance):
        while not self._ended.is_set():
            try:
                with Submission(self.path) as client:
                    while not self._ended.is_set():
                        self._batch(client, chance.choice((1, 1, 5, 20, 100)))
            except (OSError, AssertionError):
                # maild has died: what was sent and not answered may or may not arrive.
                self._ended.wait(0.01)

    def _batch(self, client, size):
        with self._lock:
            if len(self.answered) - self.received() > WAITING_MAX:
                size = 0
            numbers = range(self.sent, self.sent + size)
            self.sent += size
        if not size:
            self._ended.wait(0.01)
        client.send(*(job(ref=f"{n}", subject=f"job {n}", headers={"X-Number": f"{n}"}) for n in numbers))
        for number in numbers:
            answer = client.answer()
            if answer is None:
                raise OSError("the connection ended")
            if "job" not in answer or answer.get("ref") != f"{number}":
                self.odd.append(answer)
                raise OSError("an answer that was not expected")
            self.answered[number] = answer["job"]


def number_of(message):
    return int(re.search(rb"X-Number: (\d+)", message.data)[1])


def is_serving(maild):
    assert maild.is_alive(), "maild did not start again"
    try:
        return maild.status()["pid"] == maild.pid
    except OSError:
        return False


@pytest.mark.parametrize("how", ["by hand", "inherited"])
def test_every_answered_job_arrives_through_twenty_deaths(maild, judge, how):
    seed = int(os.environ.get("MAILD_SEED", random.SystemRandom().randrange(1 << 32)))
    print(f"MAILD_SEED={seed}")
    chance = random.Random(seed)
    server = judge()
    one = maild(workers=8, retry={"first_seconds": 0.2, "wait_seconds_max": 0.5}, relay=server.settings()).start(how)
    spawn = {"by hand": one.spawn, "inherited": one._inherit}[how]
    with Load(one.submit_path, lambda: len(server.messages)) as load:
        for _ in range(ROUNDS):
            time.sleep(chance.uniform(0.02, 0.6))  # The moment is what is tested.
            one.kill()
            spawn()
        until(lambda: load.answered, "some jobs were answered")
    # Not READY=1: an earlier life may have said it with its last breath.
    until(lambda: is_serving(one), "maild serves after its last start")
    one.wait_for_counts(ready=0, scheduled=0, running=0, held=0, failed=0, seconds=120)
    arrived = defaultdict(set)
    for message in server.messages:
        arrived[number_of(message)].add(message.message_id)
    duplicates = len(server.messages) - len(arrived)
    print(f"{load.sent} sent, {len(load.answered)} answered, {len(arrived)} arrived, {duplicates} twice")
    assert load.answered.keys() <= arrived.keys(), "answered jobs are lost"
    assert load.odd == []
    assert max(arrived) < load.sent, "a job arrived that nobody submitted"
    assert all(len(ids) == 1 for ids in arrived.values()), "a job was sent again with another Message-ID"
    assert len(set(load.answered.values())) == len(load.answered), "an id was used twice"
    assert len(load.answered) > 500, "too little load to mean anything"
    assert server.faults == []
    assert one.stop() == 0
    with sqlite3.connect(one.directory / "spool.db") as spool:
        assert spool.execute("PRAGMA integrity_check").fetchone() == ("ok",)
