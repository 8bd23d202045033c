# maild, the mail-job daemon
# SPDX-License-Identifier: Apache-2.0
"""mailctl submit over connections that break: what was not answered is sent again, and no job becomes two."""

import json
import os
import random
import re
import signal
import subprocess
import threading
import time
from collections import Counter

import pytest
from fake_maild import FakeMaild, job_id
from mailctl_stage import binary, complaints, environment, jobs, mailctl  # noqa: F401
from mailctl_stage import maild as fake  # noqa: F401
from maild import MAILCTL
from submission import job, line
from waiting import until

JOBS = 4000
LONG = 120.0


def pausing(lines, chance):
    """Hands lines out a few at a time, so that maild is killed in the midst of them."""
    rest = list(lines)
    while rest:
        count = chance.choice((1, 10, 200))
        yield b"".join(rest[:count])
        rest = rest[count:]


def submit(one, *arguments, **options):
    variables = {"PATH": os.environ["PATH"], "MAILD_SUBMIT_SOCKET": str(one.submit_path)}
    return subprocess.Popen(
        [MAILCTL, "submit", *arguments], env=variables, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, **options)


@pytest.mark.parametrize("how, seed", [("by hand", 1), ("inherited", 2)])
def test_each_job_is_taken_once_however_often_maild_is_killed(maild, how, seed):
    chance = random.Random(seed)
    one = maild(noop={"enabled": True}).start(how)
    one.control.call("Pause")
    lines = [line({"type": "noop", "payload": number, "ref": f"r{number}"}) for number in range(JOBS)]
    process = submit(one)
    output = []
    reader = threading.Thread(target=lambda: output.extend(process.stdout))
    reader.start()
    kills = 0
    for number, piece in enumerate(pausing(lines, chance)):
        process.stdin.write(piece)
        process.stdin.flush()
        # A maild that is away before the first connection is not waited for.
        until(lambda: output, "the first line is answered", failed=lambda: process.poll() is not None)
        if number % 8 == 0:
            time.sleep(chance.uniform(0, 0.02))  # The moment, between a line and its answer, is what is tested.
            one.process.send_signal(signal.SIGKILL if number % 16 else signal.SIGTERM)
            one.process.wait()
            kills += 1
            one.start(how)
    process.stdin.close()
    assert process.wait(LONG) == 0, process.stderr.read()
    reader.join()
    assert kills > 5
    answers = [text.decode().split() for text in output]
    assert [ref for _, _, ref in answers] == [f"r{number}" for number in range(JOBS)]
    assert len({name for name, _, _ in answers}) == JOBS
    assert one.counts()["ready"] == JOBS
    listed = one.mailctl("list", "--all", "--json").stdout.splitlines()
    assert {row["id"]: row["ref"] for row in map(json.loads, listed)} == {name: ref for name, _, ref in answers}
    one.control.call("Resume")
    one.wait_for_counts(ready=0, running=0, seconds=LONG)


def test_a_single_job_outlives_a_restart_of_maild(maild):
    # The socket is this test's, as it is systemd's: mailctl is in it before the kill or after it.
    one = maild().start("inherited")
    one.control.call("Pause")
    os.kill(one.pid, signal.SIGSTOP)
    process = submit(one, "--to", "a@example.com", "--from", "b@example.org", "--text", "x")
    process.stdin.close()
    one.kill()
    one.start("inherited")
    assert process.wait(LONG) == 0
    assert one.counts()["ready"] == 1
    assert process.stdout.read().decode().split()[1] == "ready"


# Against a stand-in, that closes where it is told to


def key(got):
    return json.loads(got)["idempotency_key"]


def test_lines_without_an_answer_are_sent_again_with_the_same_keys(mailctl, fake):
    cuts = iter([301, 57, 1])
    limit = {"at": next(cuts)}

    def answer(number, got):
        if number == limit["at"]:
            limit["at"] = next(cuts, None)
            return None
        return FakeMaild.answer_as_documented(number, got)

    fake.answer = answer
    result = mailctl("submit", input=jobs(1000))
    assert result.returncode == 0, result.stderr
    assert [text.split()[-1] for text in result.stdout.decode().splitlines()] == [f"r{n}" for n in range(1, 1001)]
    assert re.fullmatch(rb"mailctl: 1000 taken in [\d.]+m?s \(\d+/s\)\n", result.stderr)
    refs = {}
    for got in fake.lines:
        refs.setdefault(key(got), set()).add(json.loads(got)["ref"])
    assert len(refs) == 1000 and all(len(names) == 1 for names in refs.values())
    assert len(fake.lines) == 1003


def test_a_repeat_is_answered_with_the_first_job(mailctl, fake):
    first = {}

    def answer(number, got):
        if key(got) not in first:
            first[key(got)] = f"{len(first) + 1:013d}"
            return None if len(first) == 2 else json.dumps({"job": first[key(got)], "state": "ready"}).encode()
        return json.dumps({"job": first[key(got)], "state": "delivered", "duplicate": True}).encode()

    fake.answer = answer
    result = mailctl("submit", input=jobs(3))
    assert result.returncode == 0
    assert result.stdout.decode().splitlines() == [
        f"{job_id(1)} ready", f"{job_id(2)} delivered", f"{job_id(3)} ready"]


def test_a_key_of_ones_own_is_left_alone(mailctl, fake):
    text = jobs(1, idempotency_key="mine") + jobs(2)
    assert mailctl("submit", input=text).returncode == 0
    assert [key(got) == "mine" for got in fake.lines] == [True, False, False]
    assert fake.lines[0] == jobs(1, idempotency_key="mine")
    assert mailctl("submit", "--to", "a@example.com", "--text", "x", "--idempotency-key", "k").returncode == 0
    assert key(fake.lines[-1]) == "k"


def test_a_maild_that_stops_is_connected_to_again_and_one_that_runs_empty_is_not(mailctl, fake):
    refusals = {"stop": 1}

    def answer(number, got):
        if refusals["stop"]:
            refusals["stop"] -= 1
            return json.dumps({"error": "draining", "message": "no", "retryable": True, "retry_after": 1}).encode()
        return FakeMaild.answer_as_documented(number, got)

    fake.answer = answer
    assert mailctl("submit", input=jobs(2)).returncode == 0
    fake.answer = lambda number, got: json.dumps(
        {"error": "draining", "message": "no", "retryable": True, "retry_after": 10}).encode()
    result = mailctl("submit", input=jobs(2))
    assert (result.returncode, len(complaints(result))) == (75, 2)


def test_a_maild_that_does_not_come_back_is_waited_for_as_long_as_is_said(mailctl, fake):
    def answer(number, got):
        if number == 3:
            fake.close()
            os.unlink(fake.submit_path)
            return None
        return FakeMaild.answer_as_documented(number, got)

    fake.answer = answer
    began = time.monotonic()
    result = mailctl("submit", "--timeout", "2", input=jobs(5))
    assert result.returncode == 75 and 2 <= time.monotonic() - began < 30
    assert len(result.stdout.splitlines()) == 2
    message = complaints(result)[-1]
    assert "gave no answer for 2.0s" in message and "the lines before line 3 were answered" in message


def test_a_maild_that_takes_connections_and_never_answers_is_given_up(mailctl, fake):
    held = threading.Event()
    counts = Counter()

    def answer(number, got):
        counts["lines"] += 1
        if counts["lines"] == 1:
            return None
        held.wait(60)
        return None

    fake.answer = answer
    result = mailctl("submit", "--timeout", "1", input=jobs(2))
    held.set()
    assert result.returncode == 75
    assert "no line was answered" in complaints(result)[-1]


def test_who_waits_for_an_outcome_is_not_given_up(mailctl, fake):
    counts = Counter()

    def answer(number, got):
        counts["lines"] += 1
        if counts["lines"] == 1:
            return None
        time.sleep(3)  # Longer than the time for a lost connection.
        return FakeMaild.answer_as_documented(number, got)

    fake.answer = answer
    result = mailctl("submit", "--timeout", "1", input=jobs(1, wait="settled"))
    assert result.returncode == 0, result.stderr
