# maild, the mail-job daemon
# SPDX-License-Identifier: Apache-2.0
"""The wall clock is set while maild sleeps: a preloaded clock_gettime(2) moves what maild takes for the time of day.
The kernel knows nothing of it, so that it is the look once a minute that notices, and not the timer that the kernel
cancels where its own clock is set."""

import struct
import time

import pytest
from preloads import preload
from submission import job

LOOK_SECONDS = 60


class WallClock:
    """What is added to the time of day of a maild that has `environment`."""

    def __init__(self, directory):
        self.offset = directory / "offset"
        self.offset.write_bytes(struct.pack("@q", 0))
        self.library = preload("wall_clock", directory)

    def set(self, seconds):
        with open(self.offset, "r+b") as file:
            file.write(struct.pack("@q", seconds))

    @property
    def environment(self):
        return {"LD_PRELOAD": str(self.library), "WALL_CLOCK": str(self.offset)}


@pytest.fixture
def clock(tmp_path):
    return WallClock(tmp_path)


def test_a_job_for_later_comes_when_the_clock_is_set_forward_and_none_sooner_when_back(maild, judge, clock):
    server = judge()
    one = maild(relay=server.settings()).start(environment=clock.environment)
    with one.submission() as client:
        assert client.ask(job(delay=3600, ref="sooner"))["state"] == "scheduled"
        assert client.ask(job(delay=9000, ref="later"))["state"] == "scheduled"
        assert client.ask(job(ref="now"))["state"] == "ready"
    server.wait_for_messages(1)
    clock.set(7200)
    began = time.monotonic()
    server.wait_for_messages(2, seconds=2 * LOOK_SECONDS)
    print(f"noticed after {time.monotonic() - began:.1f} s")
    one.wait_for_counts(ready=0, scheduled=1, running=0)
    clock.set(-86_400)
    with one.submission() as client:
        assert client.ask(job(ref="again"))["state"] == "ready"
    server.wait_for_messages(3)
    one.wait_for_counts(ready=0, scheduled=1, running=0)
    assert one.stop() == 0
