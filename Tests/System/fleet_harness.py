# maild, the mail-job daemon
# SPDX-License-Identifier: Apache-2.0
"""A fleet under load, of which nodes are killed, put to sleep and cut off, and whose database is restarted, at random
moments; and the history that must come out of it.

As with one maild (crash_harness.py): every answered job arrived, none was invented, and whoever got one twice got it
with the same Message-ID, around a trouble of the node that had claimed it."""

import random
import signal
import time
from collections import defaultdict
from dataclasses import dataclass

from control import ControlError
from crash_harness import Load, number_of
from maild import Maild
from postgresql import PostgreSQL
from smtp_judge import SMTPJudge
from waiting import until

LEASE_SECONDS = 15
BACK_SECONDS = 90
"""In which whatever was away must serve again, on a loaded machine."""
SHORT = ["kill"] * 4 + ["freeze", "restart", "database"]
LONG = ["freeze long", "cut", "stay dead"]


class FleetLoad(Load):
    """Clients of one node. Numbers of two loads never meet."""

    refusals = ("draining", "read_only", "queue_full")

    def __init__(self, node, received, seed, first):
        super().__init__(node.submit_path, received, seed)
        self.first = self.sent = first


@dataclass
class Trouble:
    """Of one node. `claimed`: numbers of the jobs that it had; `before`, `after`: how many messages had arrived when it
    began, and when it was over."""

    what: str
    claimed: set
    before: int
    after: int = None


class Node:
    def __init__(self, name, directory, stage):
        self.name, self.stage = name, stage
        self.host = stage.network.host() if stage.network else None
        directory.mkdir()
        self.maild = Maild(
            directory, workers=8, retry={"first_seconds": 0.2, "wait_seconds_max": 0.5},
            spool={"database": stage.database.uri, "node": name}, relay=stage.server.settings(tls="off"))
        self.trouble = None
        """It is away for long."""

    def spawn(self):
        prefix = self.host.prefix if self.host else []
        self.maild.notices.forget()
        self.maild.spawn([*prefix, *self.maild.command])
        return self

    def start(self):
        self.spawn()
        self.wait_until_ready()
        return self

    def wait_until_ready(self):
        self.maild.notices.wait_for("READY=1", seconds=BACK_SECONDS, alive=self.maild.is_alive)

    def is_serving(self):
        assert self.maild.is_alive(), f"{self.name} has ended: {self.maild.log()[-2000:]}"
        try:
            status = self.maild.status()
        except (OSError, ValueError, ControlError):
            return False  # It starts, or its database is away.
        return status["pid"] == self.maild.pid and "read_only" not in status


class Stage:
    """A database, an SMTP server and nodes; in a network whose links can be cut, where `network` is given."""

    def __init__(self, directory, count, network=None):
        self.network, self.made = network, []
        try:
            self.database = self.keep(PostgreSQL(network.host() if network else None))
            place = {"host": network.mail_host, "namespace": network.hub} if network else {}
            self.server = SMTPJudge(**place).start()
            self.nodes = []
            for name in "abcdefgh"[:count]:
                self.nodes.append(Node(name, directory / name, self))
                self.keep(self.nodes[-1].maild)
                self.nodes[-1].start()
        except BaseException:
            self.clean_up()
            raise

    def keep(self, thing):
        self.made.append(thing)
        return thing

    def clean_up(self):
        for node in getattr(self, "nodes", []):
            if node.maild.is_alive():
                node.maild.process.send_signal(signal.SIGCONT)
        for each in reversed(self.made):
            each.clean_up()
        if hasattr(self, "server"):
            self.server.stop()
        if self.network:
            self.network.clean_up()

    def claimed_by(self, name):
        """Numbers of the jobs that a node has claimed and not settled, as the database knows it."""
        rows = self.database.ask(
            "SELECT convert_from(body, 'UTF8')::json->>'ref' FROM jobs JOIN nodes ON jobs.lease = nodes.session "
            f"WHERE jobs.lease <> 0 AND nodes.name = '{name}'")
        return set(map(int, rows))


class FleetTorment:
    def __init__(self, stage, seed):
        self.stage, self.chance = stage, random.Random(seed)
        self.troubles, self.done = [], defaultdict(int)

    def act(self):
        time.sleep(self.chance.uniform(0.05, 0.8))  # The moment of the next trouble.
        action = self.chance.choice(SHORT)
        node = self.chance.choice([node for node in self.stage.nodes if not node.trouble])
        if action == "database":
            return self._restart_database()
        self.done[action] += 1
        if action == "restart":
            assert node.maild.stop(60) == 0
            return node.start()
        trouble = self._begin(action, node)
        if action == "freeze":
            time.sleep(self.chance.uniform(0.05, 2))  # Asleep for so long, which is far below a lease.
        self._end(trouble, node)

    def begin_long(self):
        """One that outlasts a lease; others go on meanwhile, and `end_long` ends it."""
        what = self.chance.choice([what for what in LONG if what != "cut" or self.stage.network])
        node = self.chance.choice(self.stage.nodes)
        self.done[what] += 1
        node.trouble = self._begin(what, node)
        return node

    def end_long(self, node):
        session = self._session(node)
        until(lambda: self._session(node) != session, f"{node.name} is taken for dead", 4 * LEASE_SECONDS + 30)
        self._end(node.trouble, node)
        node.trouble = None

    def _session(self, node):
        return self.stage.database.ask(f"SELECT session FROM nodes WHERE name = '{node.name}'")

    def _begin(self, what, node):
        before = len(self.stage.server.messages)
        if what in ("kill", "stay dead"):
            node.maild.kill()
        elif what == "cut":
            self.stage.network.cut(node.host)
        else:
            node.maild.process.send_signal(signal.SIGSTOP)
        trouble = Trouble(f"{what} {node.name}", self.stage.claimed_by(node.name), before)
        self.troubles.append(trouble)
        return trouble

    def _end(self, trouble, node):
        what = trouble.what.split()[0]
        if what in ("kill", "stay"):
            node.start()
        elif what == "cut":
            self.stage.network.join(node.host)
        else:
            node.maild.process.send_signal(signal.SIGCONT)
        until(node.is_serving, f"{node.name} serves again", BACK_SECONDS)
        trouble.after = len(self.stage.server.messages)

    def _restart_database(self):
        mode = self.chance.choice(["fast", "immediate"])
        self.done[f"database {mode}"] += 1
        # Nobody loses a lease by it, and so nothing may come twice of it.
        self.stage.database.stop(mode)
        self.stage.database.start()
        for node in self.stage.nodes:
            if not node.trouble:
                until(node.is_serving, f"{node.name} serves again", BACK_SECONDS)


def faults_of_fleet(loads, server, troubles):
    """What is wrong with the outcome, as sentences; nothing where all is well."""
    arrivals, ids = defaultdict(list), defaultdict(set)
    for index, message in enumerate(server.messages):
        arrivals[number_of(message)].append(index)
        ids[number_of(message)].add(message.message_id)
    answered = {number: job for load in loads for number, job in load.answered.items()}
    faults = [f"job {number} was answered and is lost" for number in sorted(answered.keys() - arrivals.keys())]
    faults += [f"job {number} arrived and was never sent" for number in arrivals
               if not any(load.first <= number < load.sent for load in loads)]
    faults += [f"job {number} arrived with Message-IDs {ids[number]}" for number in ids if len(ids[number]) > 1]
    for number, indexes in arrivals.items():
        for first, second in zip(indexes, indexes[1:]):
            if not any(number in trouble.claimed and first < trouble.after and second >= trouble.before
                       for trouble in troubles):
                faults.append(f"job {number} arrived as {first} and {second}, and no node in trouble had it")
    if len(set(answered.values())) != len(answered):
        faults.append("an id was used twice")
    return faults + [f"answered with {answer}" for load in loads for answer in load.odd[:10]] + server.faults[:10]


def torment(stage, seed, shorts, long=True):
    """`shorts` short troubles, with a long one around them; returns the loads and what is wrong."""
    tormentor = FleetTorment(stage, seed)
    loads = [FleetLoad(node.maild, lambda: len(stage.server.messages) // len(stage.nodes), f"{seed} {node.name}",
                       first=1_000_000 * place) for place, node in enumerate(stage.nodes)]
    try:
        for load in loads:
            load.__enter__()
        sleeper = tormentor.begin_long() if long else None
        for _ in range(shorts):
            tormentor.act()
        if sleeper:
            tormentor.end_long(sleeper)
        until(lambda: all(load.answered for load in loads), "each node has answered some")
    finally:
        for load in loads:
            load.__exit__()
    for node in stage.nodes:
        until(node.is_serving, f"{node.name} serves at the end", BACK_SECONDS)
    release_held(stage)
    until(lambda: stage.database.ask("SELECT count(*) FROM jobs") == ["0"], "all jobs have ended", 300)
    faults = faults_of_fleet(loads, stage.server, tormentor.troubles)
    arrived = len({number_of(message) for message in stage.server.messages})
    sent, answered = sum(load.sent - load.first for load in loads), sum(len(load.answered) for load in loads)
    print(f"{sent} sent, {answered} answered, {arrived} arrived, "
          f"{len(stage.server.messages) - arrived} twice; {dict(tormentor.done)}")
    return loads, faults


def release_held(stage):
    """Who was in hand at three deaths is held: an operator takes it up again."""
    if stage.database.ask("SELECT count(*) FROM jobs WHERE state = 2") != ["0"]:
        released = stage.nodes[0].maild.mailctl("release", "--state", "held")
        assert released.returncode == 0, released.stderr
