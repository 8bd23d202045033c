# maild, the mail-job daemon
# SPDX-License-Identifier: Apache-2.0
"""maild beside what people use today: pairs that do the same work, and the ratio that maild is to reach."""

import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Callable

from peers.beanstalkd import Beanstalkd
from peers.demo import Demo
from peers.exim import Exim
from peers.nullmailer import Nullmailer
from peers.postfix import Postfix
from peers.postgresql import PUT, TAKE, PostgreSQL
from peers.rabbitmq import RabbitMQ
from peers.redis import Redis
from processes import MAILCTL, FastSink, Failure, Maild, run_program, wait_for


@dataclass
class Side:
    """One of two: measures in an empty directory, at so many times its usual size; answers jobs a second."""

    name: str
    measure: Callable
    peer: type = None


@dataclass
class Duel:
    what: str
    ours: Side
    theirs: Side
    goal: float = None
    """The least ratio; None where the pair is shown for comparison alone."""
    goal_is_an_aim: bool = False
    """Wished for, beyond what is asked."""


# maild


def accepts(connections, window, jobs, settings=""):
    """Durable accepts, delivery paused."""

    def measure(directory, scale):
        with Maild(directory / "maild", settings=settings) as maild:
            maild.mailctl("pause")
            return load(maild, connections, window, sized(jobs, scale))["jobs_per_s"]

    return Side(f"maild, {shape(connections, window)}", measure)


def load(maild, connections, window, jobs, *more):
    figures = run_program("submitload", "-c", connections, "-w", window, "-n", jobs, *more, maild.submit)
    if figures["answers"] != jobs or figures["errors"]:
        raise Failure(f"{jobs} jobs, {figures['answers']} answers, {figures['errors']} errors")
    return figures


def delivers(connections, window, jobs):
    """From the first line to the last settled job, into the sink, which has counted them all."""

    def measure(directory, scale):
        count = sized(jobs, scale)
        with FastSink(directory) as sink, Maild(directory / "maild", port=sink.port) as maild:
            rate = until_done(maild, connections, window, count)
            if sink.messages() != count:
                raise Failure(f"{count} jobs, {sink.messages()} messages in the sink")
            return rate

    return Side(f"maild into sink.c, {shape(connections, window)}", measure)


def does_nothing(connections, window, jobs):
    def measure(directory, scale):
        with Maild(directory / "maild", settings="[noop]\nenabled = true") as maild:
            return until_done(maild, connections, window, sized(jobs, scale), "-t", "noop")

    return Side(f"maild's noop jobs, {shape(connections, window)}", measure)


def until_done(maild, connections, window, jobs, *more):
    start = time.monotonic()
    load(maild, connections, window, jobs, *more)
    wait_for(lambda: maild.check_alive() and maild.delivered() >= jobs, f"{jobs} are done", 600, 0.02)
    return jobs / (time.monotonic() - start)


def our_sendmail(at_once, runs):
    def measure(directory, scale):
        with Maild(directory / "maild") as maild:
            maild.mailctl("pause")
            program = directory / "sendmail"
            program.symlink_to(MAILCTL)
            command = [program, "-i", "-f", "app@example.org", "u@bench.example"]
            return sendmail_rate(
                directory, at_once, sized(runs, scale), command, MAILD_SUBMIT_SOCKET=str(maild.submit))

    return Side(f"maild-mta's sendmail, {at_once} at a time", measure)


def sendmail_rate(directory, at_once, runs, command, **environment):
    arguments = ["-n", runs, "-p", at_once, "-i", message(directory), *command]
    return run_program("spawnload", *arguments, **environment)["runs_per_s"]


def message(directory):
    """A file: 1 KB of mail."""
    path = directory / "message"
    path.write_text("Subject: A measured message\nTo: u@bench.example\n\n" + ("x" * 70 + "\n") * 14)
    path.chmod(0o644)
    return path


# The others


@contextmanager
def started(peer, directory, **options):
    home = directory / "peer"
    home.mkdir()
    home.chmod(0o755)
    with peer(home, **options) as running:
        yield running


def redis(command, connections, window, jobs):
    def measure(directory, scale):
        with started(Redis, directory) as peer:
            return peer.rate(command, connections, window, sized(jobs, scale))

    return Side(f"Redis {command}, {shape(connections, window)}", measure, Redis)


def beanstalkd(putters, takers, jobs):
    def measure(directory, scale):
        with started(Beanstalkd, directory) as peer:
            return peer.rate(putters, takers, sized(jobs, scale))

    return Side(f"beanstalkd put{f' and take by {takers}' if takers else ''}", measure, Beanstalkd)


def postgresql(script, name, clients, jobs):
    def measure(directory, scale):
        with started(PostgreSQL, directory) as peer:
            return peer.rate(script, clients, sized(jobs, scale))

    return Side(f"PostgreSQL {name}, {clients} clients", measure, PostgreSQL)


def rabbitmq(window, messages):
    def measure(directory, scale):
        with started(RabbitMQ, directory) as peer:
            return peer.rate(window, sized(messages, scale))

    return Side(f"RabbitMQ, 1 connection × {window} in flight", measure, RabbitMQ)


def demo(connections, jobs):
    def measure(directory, scale):
        with started(Demo, directory) as peer:
            return peer.rate(connections, sized(jobs, scale))

    return Side(f"channels in memory, {connections} connections", measure, Demo)


def mail_server_accepts(peer, sessions, messages):
    def measure(directory, scale):
        with started(peer, directory) as server:
            return server.accept_rate(sessions, sized(messages, scale))

    return Side(f"{peer.name} by SMTP, {sessions} sessions", measure, peer)


def mail_server_delivers(peer, sessions, messages):
    def measure(directory, scale):
        with FastSink(directory) as sink, started(peer, directory, sink=sink.port) as server:
            return server.delivery_rate(sink, sessions, sized(messages, scale))

    return Side(f"{peer.name} into sink.c, {sessions} sessions", measure, peer)


def their_sendmail(peer, at_once, runs):
    def measure(directory, scale):
        with started(peer, directory) as server:
            return server.sendmail_rate(at_once, sized(runs, scale), message(directory))

    return Side(f"{peer.name}'s sendmail, {at_once} at a time", measure, peer)


def sqlite(rows, milliseconds):
    def measure(directory, scale):
        return run_program("sqlitebase", "-k", rows, "-t", milliseconds, directory / "base.db")["rows_per_s"]

    return Side(f"SQLite alone, {rows} row{'s' * (rows > 1)} a transaction", measure)


def bare_client(messages):
    """Half of it is the aim: a queue writes every message down and strikes it off besides."""

    def measure(directory, scale):
        with FastSink(directory) as sink:
            return run_program("smtpload", "-p", sink.port, "-n", sized(messages, scale))["messages_per_s"]

    return Side("smtpload.c into sink.c, no queue", measure)


def sized(jobs, scale, least=100):
    return max(least, int(jobs * scale))


def shape(connections, window):
    return f"{connections} connection{'s' * (connections > 1)} × {window} in flight"


DUELS = [
    Duel("durable accepts, pipelined", accepts(50, 16, 200_000), redis("XADD", 50, 16, 400_000), 1.0),
    Duel("durable accepts, pipelined", accepts(50, 16, 200_000), redis("LPUSH", 50, 16, 400_000), 1.0, True),
    Duel("durable accepts, one at a time", accepts(50, 1, 60_000), redis("LPUSH", 50, 1, 100_000), 1.0),
    Duel("one connection, one at a time", accepts(1, 1, 4_000), sqlite(1, 1500), 0.8),
    Duel("accepts beside a mail server", accepts(50, 16, 200_000), mail_server_accepts(Postfix, 50, 1_500), 150),
    Duel("accepts beside a mail server", accepts(50, 16, 200_000), mail_server_accepts(Exim, 10, 1_500)),
    Duel("an app with an open socket, beside sendmail", accepts(1, 1, 4_000), their_sendmail(Postfix, 1, 150), 35),
    Duel("sendmail", our_sendmail(1, 400), their_sendmail(Postfix, 1, 150), 3),
    Duel("sendmail", our_sendmail(8, 800), their_sendmail(Postfix, 8, 300), 3),
    Duel("sendmail", our_sendmail(8, 800), their_sendmail(Nullmailer, 8, 300)),
    Duel("submitted to delivered", delivers(50, 16, 60_000), mail_server_delivers(Postfix, 50, 1_500), 40),
    Duel("submitted to delivered", delivers(50, 16, 60_000), mail_server_delivers(Exim, 10, 400)),
    Duel("submitted to delivered", delivers(50, 16, 60_000), bare_client(100_000), 0.5, True),
    Duel("put and take", does_nothing(50, 16, 60_000), beanstalkd(50, 8, 4_000), 10),
    Duel("put and take", does_nothing(50, 16, 60_000),
         postgresql(PUT + TAKE, "insert, take and delete", 16, 6_000), 10),
    Duel("put", accepts(50, 16, 200_000), beanstalkd(50, 0, 4_000)),
    Duel("put", accepts(50, 16, 200_000), postgresql(PUT, "insert", 16, 15_000)),
    Duel("published and confirmed", accepts(1, 200, 100_000), rabbitmq(200, 30_000), 1.0),
    Duel("accepted on disk, beside in memory", accepts(50, 16, 200_000), demo(50, 50_000), 5.0),
]
