# maild, the mail-job daemon
# SPDX-License-Identifier: Apache-2.0
"""A wall clock that jumps: intervals go on as if nothing had happened."""

import os
import time

import pytest
from preloads import preload
from submission import job
from waiting import free_port, until

DAY = 86_400
JUMPS = [DAY, -DAY, 400 * DAY, -20 * DAY]


@pytest.fixture(scope="module")
def shim(tmp_path_factory):
    return preload("clock_jump", tmp_path_factory.mktemp("clock"))


class WallClock:
    """Of one maild."""

    def __init__(self, shim, directory):
        self.path = directory / "jump"
        self.jump(0)
        self.environment = {"LD_PRELOAD": str(shim), "CLOCK_JUMP_FILE": str(self.path)}

    def jump(self, seconds):
        """From the real time, not from where it is."""
        if not self.path.exists():
            self.path.write_bytes(bytes(8))
        with open(self.path, "r+b", buffering=0) as file:
            file.write(seconds.to_bytes(8, "little", signed=True))


@pytest.fixture
def started(maild, shim, tmp_path):
    """A maild whose wall clock the test sets."""
    def start(**settings):
        one, clock = maild(**settings), WallClock(shim, tmp_path)
        one.spawn(environment=clock.environment)
        one.notices.wait_for("READY=1", alive=one.is_alive)
        return one, clock
    return start


def accepted_at(one, answer):
    return one.show(answer["job"])["job"]["accepted_at"]


def test_the_wall_clock_does_jump(started):
    one, clock = started()
    one.control.call("Pause")
    with one.submission() as client:
        first = accepted_at(one, client.ask(job()))
        clock.jump(400 * DAY)
        later = accepted_at(one, client.ask(job()))
    assert int(later[:4]) - int(first[:4]) in (1, 2)


@pytest.mark.parametrize("jump", JUMPS)
def test_jobs_a_minute_are_counted_by_real_minutes(started, jump):
    one, clock = started(app={"shop": {"user": os.getuid(), "jobs_per_minute": 5}})
    with one.submission() as client:
        assert all("job" in client.ask(job()) for _ in range(5))
        clock.jump(jump)
        answer = client.ask(job())
        assert answer["error"] == "quota_exceeded" and 1 <= answer["retry_after"] <= 12, answer


@pytest.mark.parametrize("jump", JUMPS)
def test_a_relays_rate_neither_bursts_nor_stops(started, judge, jump):
    server = judge()
    one, clock = started(relay=server.settings(messages_per_second=10))
    with one.submission() as client:
        assert all("job" in client.ask(job()) for _ in range(8))
        server.wait_for_messages(3)
        clock.jump(jump)
        began, sent = time.monotonic(), len(server.messages)
        assert all("job" in client.ask(job()) for _ in range(12))
        server.wait_for_messages(20)
    seconds = time.monotonic() - began
    # One may have been on its way, and one goes at once.
    assert seconds >= (20 - sent - 2) / 10, f"{20 - sent} mails in {seconds} s"


@pytest.mark.parametrize("jump", JUMPS)
def test_a_relay_that_is_away_is_tried_again_as_soon_as_before(started, judge, jump):
    port = free_port()
    one, clock = started(relay={"main": {"host": "127.0.0.1", "port": port}})

    def relay():
        return one.status()["relays"][0]

    with one.submission() as client:
        assert "job" in client.ask(job())
        until(lambda: relay()["breaker"] == "open", "the breaker is open")
        clock.jump(jump)
        judge(port=port)
        # Mail that was put off waits for its time on disk; one that comes now finds out when the next probe is due.
        until(lambda: "job" in client.ask(job()) and relay()["breaker"] == "closed", "the relay is back")
