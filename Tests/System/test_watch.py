# maild, the mail-job daemon
# SPDX-License-Identifier: Apache-2.0
"""Watching what happens, and waiting for the end of a job."""

import json
import select
import subprocess
import time

import pytest
from maild import MAILCTL
from smtp_judge import to_recipients
from submission import job
from test_verbs import submit
from waiting import PATIENCE, until


class Watcher:
    """A `mailctl watch --json` and the events that it printed so far."""

    def __init__(self, maild, *arguments):
        self.process = subprocess.Popen(
            [MAILCTL, "watch", "--json", "--control-socket", str(maild.control_path), *arguments],
            stdout=subprocess.PIPE, text=True)

    def event(self):
        line = self.process.stdout.readline()
        assert line, "mailctl watch has ended"
        return json.loads(line)

    def until(self, name):
        """Events up to the first with this name."""
        events = []
        while not events or events[-1]["event"] != name:
            events.append(self.event())
        return events

    def stop(self):
        self.process.terminate()
        self.process.wait(PATIENCE)


@pytest.fixture
def watch():
    made = []

    def make(maild, *arguments):
        made.append(Watcher(maild, *arguments))
        # Watching has begun once something that happens is seen.
        until(lambda: _is_seen(maild, made[-1]), "it watches") if not arguments else None
        return made[-1]

    yield make
    for each in made:
        each.stop()


def _is_seen(maild, watcher):
    """Something happens; true once it is on its way to the watcher."""
    maild.control.call("Scale", workers=3)
    maild.control.call("Scale", workers=2)
    return select.select([watcher.process.stdout], [], [], 0.05)[0]


def test_a_jobs_life_is_told_as_it_happens(maild, judge, watch):
    replies = {"b@example.com": "451 4.7.1 later"}
    server = judge(script=to_recipients(replies))
    one = maild(relay={"main": {"host": "127.0.0.1", "port": server.port}}, retry={"first_seconds": 0.05}).start()
    watcher = watch(one)
    name = submit(one, job(to=["a@example.com", "b@example.com"], ref="r"))[0]
    events = [event for event in watcher.until("deferred") if event.get("job") == name]
    # Acceptance is told by another thread than attempts are, and may come after the first of these.
    assert {event["event"]: event["state"] for event in events} == {
        "accepted": "ready", "attempted": "running", "deferred": "scheduled"}
    assert {fate["recipient"]: fate["verdict"] for fate in events[-1]["fates"]} == {
        "a@example.com": "delivered", "b@example.com": "deferred"}
    replies.clear()
    delivered = watcher.until("delivered")[-1]
    assert delivered["job"] == name and delivered["relay"] == "main" and delivered["queue"] == "default"
    assert delivered["fates"] == [{"recipient": "b@example.com", "verdict": "delivered", "code": 250,
                                   "enhanced": delivered["fates"][0]["enhanced"],
                                   "text": delivered["fates"][0]["text"]}]
    one.mailctl("pause")
    held = submit(one, job())[0]
    for verb in ("hold", "release", "retry", "cancel"):
        assert one.mailctl(verb, held).returncode == 0
    told = [event["event"] for event in watcher.until("cancelled")]
    assert told == ["paused", "accepted", "held", "released", "retried", "cancelled"]


def test_an_outage_is_told_too(maild, watch):
    one = maild(relay={"main": {"host": "127.0.0.1", "port": 1}}).start()
    watcher = watch(one)
    submit(one, job())
    events = watcher.until("put_off")
    opened = next(event for event in events if event["event"] == "breaker_opened")
    assert opened["relay"] == "main" and "Connection refused" in opened["detail"] and "job" not in opened


def test_text_for_people_has_a_line_an_event(maild):
    one = maild().start()
    watcher = subprocess.Popen(
        [MAILCTL, "watch", "--state", "delivered", "--control-socket", str(one.control_path)],
        stdout=subprocess.PIPE, text=True)
    lines = []

    def is_seen():
        lines.extend(submit(one, job()))
        return one.status()["delivered_total"] > 3
    until(is_seen, "some jobs are delivered")
    line = watcher.stdout.readline()
    watcher.terminate()
    watcher.wait(PATIENCE)
    words = line.split()
    assert words[1] in lines and words[2:4] == ["delivered", "a@example.com"]


def wait(maild, *arguments):
    return subprocess.Popen(
        [MAILCTL, "wait", "--control-socket", str(maild.control_path), *arguments],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def test_wait_ends_with_the_job_and_its_exit_status_tells_how(maild, judge):
    replies = {"b@example.com": "550 5.1.1 no such user"}
    server = judge(script=to_recipients(replies))
    one = maild(relay={"main": {"host": "127.0.0.1", "port": server.port}}).start()
    one.mailctl("pause")
    late_at = time.time() + 2
    good, bad, late, gone = submit(
        one, job(), job(to="b@example.com"), job(expires_at=stamp(late_at)), job())
    waits = {name: wait(one, name) for name in (good, bad, late, gone)}
    all_of_them = wait(one, good, bad, gone)
    assert one.mailctl("cancel", gone).returncode == 0
    until(lambda: time.time() > late_at, "its time has passed")
    one.mailctl("resume")
    ends = {name: (process.wait(PATIENCE), process.stdout.read()) for name, process in waits.items()}
    assert ends[good][0] == 0 and ends[good][1].startswith(f"{good} delivered 250")
    assert ends[bad] == (67, f"{bad} failed 550 5.1.1 no such user\n")
    assert ends[late] == (68, f"{late} expired\n")
    assert ends[gone] == (73, f"{gone} cancelled\n")
    assert all_of_them.wait(PATIENCE) == 67
    # What has ended is known at once.
    assert one.mailctl("wait", good).returncode == 0
    assert one.mailctl("wait", bad, good).returncode == 67
    assert one.mailctl("wait", "0000000000000").returncode == 65


def stamp(seconds):
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))


def test_wait_gives_up_when_its_time_is_over_and_says_so(maild):
    one = maild().start()
    one.mailctl("pause")
    name = submit(one, job())[0]
    result = one.mailctl("wait", name, "--timeout", "0.2")
    assert result.returncode == 75 and "time is over: 1 still to come" in result.stderr
    waiting = wait(one, name)
    one.mailctl("purge", "--yes", name)
    assert waiting.wait(PATIENCE) in (65, 73), "purged before it looked, or after"
