# maild, the mail-job daemon
# SPDX-License-Identifier: Apache-2.0
"""maild under load, killed, frozen and restarted at random moments, and the history that must come out of it.

What the clients were answered, what the SMTP server took and what stood on disk at each kill are compared at the end:
every answered job arrived, none was invented, and whoever got one twice got it once on either side of a kill at which
the job stood unsettled on disk, with the same Message-ID.
"""

import json
import random
import re
import shutil
import signal
import sqlite3
import tempfile
import threading
import time
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

from submission import Submission, job
from waiting import until

CLIENTS = 4
WAITING_MAX = 3000
"""Jobs that may wait for the SMTP server before the clients hold back: it is written in Python."""
ACTIONS = ["kill"] * 6 + ["freeze", "freeze", "kill frozen", "restart"]


class Load:
    """Clients that submit numbered jobs as long as they can, through every death of maild."""

    refusals = ("draining",)
    """What a job may be answered instead of its id: it may be sent again."""

    def __init__(self, path, received, seed):
        self.path, self.received = path, received
        self.sent = 0
        self.answered = {}
        """Job id by number."""
        self.odd = []
        self._lock, self._ended = threading.Lock(), threading.Event()
        self._threads = [
            threading.Thread(target=self._run, args=(random.Random(f"{seed} {n}"),)) for n in range(CLIENTS)]

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
                        self._batch(client, chance)
            except (OSError, AssertionError):
                # maild has died: what was sent and not answered may or may not arrive.
                self._ended.wait(0.01)

    def _batch(self, client, chance):
        size = chance.choice((1, 1, 5, 20, 100))
        with self._lock:
            if len(self.answered) - self.received() > WAITING_MAX:
                size = 0
            numbers = range(self.sent, self.sent + size)
            self.sent += size
        if not size:
            self._ended.wait(0.01)
        client.send(*(self._job(number, chance) for number in numbers))
        for number in numbers:
            answer = client.answer()
            if answer is None:
                raise OSError("the connection ended")
            if answer.get("error") in self.refusals:
                continue
            if "job" not in answer or answer.get("ref") != f"{number}":
                self.odd.append(answer)
                raise OSError("an answer that was not expected")
            self.answered[number] = answer["job"]

    @staticmethod
    def _job(number, chance):
        more = {"delay": 1} if chance.random() < 0.05 else {"priority": 9} if chance.random() < 0.05 else {}
        content = "text" if chance.random() < 0.95 else "long text " * 2000
        return job(ref=f"{number}", subject=f"job {number}", content=content, headers={"X-Number": f"{number}"}, **more)


@dataclass
class Kill:
    """One death: how many messages had arrived before it for sure, how many had once it was over (some lay in the
    sockets still), and which jobs stood on disk as not settled."""

    arrived_before: int
    arrived_after: int
    unsettled: set


def unsettled_numbers(spool):
    """Numbers of the jobs that a dead maild left unfinished. Looks at a copy: the next start is to recover the file as
    it was left."""
    with tempfile.TemporaryDirectory() as place:
        for suffix in ("", "-wal"):
            if Path(f"{spool}{suffix}").exists():
                shutil.copy(f"{spool}{suffix}", f"{place}/spool.db{suffix}")
        with sqlite3.connect(f"{place}/spool.db") as copy:
            return {int(json.loads(body)["ref"]) for body, in copy.execute("SELECT body FROM jobs")}


class Torment:
    """Deaths of one maild. `seed` decides on the kinds and moments of them; the threads do the rest."""

    def __init__(self, maild, server, spawn, seed):
        self.maild, self.server, self.spawn = maild, server, spawn
        self.chance = random.Random(seed)
        self.kills = []
        self.done = defaultdict(int)

    def act(self):
        action = self.chance.choice(ACTIONS)
        self.done[action] += 1
        time.sleep(self.chance.uniform(0.02, 0.6))  # The moment is what is tested.
        if action in ("freeze", "kill frozen"):
            self.maild.process.send_signal(signal.SIGSTOP)
            time.sleep(self.chance.uniform(0.01, 0.5))  # Frozen for so long.
        if action == "freeze":
            self.maild.process.send_signal(signal.SIGCONT)
        elif action == "restart":
            # So soon after its start it may not have come to where it takes signals; then it has nothing to end either.
            assert self.maild.stop(60) in (0, -signal.SIGTERM)
            self.spawn()
        else:
            self._kill()

    def _kill(self):
        before = len(self.server.messages)
        self.maild.kill()
        unsettled = unsettled_numbers(self.maild.directory / "spool.db")
        # What maild had written into its connections before is read to the end by now.
        until(lambda: self.server.open == 0, "the SMTP server has seen all connections end")
        self.kills.append(Kill(before, len(self.server.messages), unsettled))
        self.spawn()


def number_of(message):
    return int(re.search(rb"X-Number: (\d+)", message.data)[1])


def faults_of_history(load, server, kills):
    """What is wrong with the outcome, as sentences; nothing where all is well."""
    arrivals, ids = defaultdict(list), defaultdict(set)
    for index, message in enumerate(server.messages):
        arrivals[number_of(message)].append(index)
        ids[number_of(message)].add(message.message_id)
    faults = [f"job {number} was answered and is lost" for number in sorted(load.answered.keys() - arrivals.keys())]
    faults += [f"job {number} arrived and was never sent" for number in arrivals if number >= load.sent]
    faults += [f"job {number} arrived with Message-IDs {ids[number]}" for number in ids if len(ids[number]) > 1]
    for number, indexes in arrivals.items():
        for first, second in zip(indexes, indexes[1:]):
            if not any(first < kill.arrived_after and second >= kill.arrived_before and number in kill.unsettled
                       for kill in kills):
                faults.append(f"job {number} arrived as {first} and {second}; no kill lies between that left it open")
    if len(set(load.answered.values())) != len(load.answered):
        faults.append("an id was used twice")
    faults += [f"answered with {answer}" for answer in load.odd[:10]] + server.faults[:10]
    return faults


def is_serving(maild):
    assert maild.is_alive(), "maild did not start again"
    try:
        return maild.status()["pid"] == maild.pid
    except OSError:
        return False


def torment(maild, server, spawn, seed, go_on):
    """Torments a running maild while `go_on(deaths, kills)`; returns the load, how often it was killed, and what is
    wrong."""
    with Load(maild.submit_path, lambda: len(server.messages), seed) as load:
        tormentor = Torment(maild, server, spawn, seed)
        while go_on(sum(tormentor.done.values()), len(tormentor.kills)):
            tormentor.act()
        until(lambda: load.answered, "some jobs were answered")
    # Not READY=1: an earlier life may have said it with its last breath.
    until(lambda: is_serving(maild), "maild serves after its last start")
    release_held(maild)
    maild.wait_for_counts(ready=0, scheduled=0, running=0, held=0, failed=0, seconds=300)
    faults = faults_of_history(load, server, tormentor.kills)
    arrived = len({number_of(message) for message in server.messages})
    print(f"{load.sent} sent, {len(load.answered)} answered, {arrived} arrived, "
          f"{len(server.messages) - arrived} twice; {dict(tormentor.done)}")
    return load, len(tormentor.kills), faults


def release_held(maild):
    """Who was in hand at three kills is held, for the daemon cannot know who killed it; an operator takes it up again.
    With so short a life between two kills that happens to the innocent."""
    if held := maild.status()["counts"]["held"]:
        print(f"{held} jobs were in hand at three kills")
        released = maild.mailctl("release", "--state", "held")
        assert released.returncode == 0, released.stderr
