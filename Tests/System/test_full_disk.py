# maild, the mail-job daemon
# SPDX-License-Identifier: Apache-2.0
"""A real file system of 8 or 16 MB that fills up: jobs are refused in time, delivery goes on to the last byte, and
everything comes back by itself."""

import shutil
import sqlite3
from pathlib import Path

import pytest
from private_disk import PrivateDisk
from submission import job
from waiting import until

BODY = "x" * 40_000
BOUND = 2 << 20
ROOMY = 6 << 20
"""A bound above what the log may hold (4 MiB), as it is where disks are not tiny: the log can always be copied."""
ENOUGH = ROOMY * 9 // 8
"""An eighth more than the bound: jobs are taken again."""


@pytest.fixture
def disk(tmp_path, request):
    directory = tmp_path / "disk"
    directory.mkdir()
    # A test may ask for another size.
    made = PrivateDisk(directory, megabytes=getattr(request, "param", 8))
    yield made
    made.close()


def start(one, disk):
    one.notices.forget()
    one.spawn(disk.command(one.command))
    one.notices.wait_for("READY=1", alive=one.is_alive)


def fill_with_jobs(one):
    """Submits until maild takes no more; returns the ids, and the refusal."""
    taken = []
    with one.submission() as client:
        while True:
            answer = client.ask(job(content=BODY, ref=f"{len(taken)}"))
            if "error" in answer:
                return taken, answer
            taken.append(answer["job"])
            assert len(taken) < 1000, "16 MB hold no 40 MB"


def fill_to_the_bound(one, disk):
    """The same until not even giving back the log makes room for more; ids and the last refusal."""
    taken = []
    while True:
        more, refusal = fill_with_jobs(one)
        taken += more
        log = Path(f"{disk.outside}/spool.db-wal")
        # Either there is nothing left to give back, or it was enough.
        until(lambda: log.stat().st_size == 0 or "read_only" not in one.status(), "the log is given back")
        if "read_only" in one.status() and disk.free() < ENOUGH:
            return taken, refusal
        until(lambda: "read_only" not in one.status(), "jobs are taken again")


def metric(one, name):
    return float(next(line.split()[1] for line in one.http("/metrics")[2].splitlines() if line.startswith(f"{name} ")))


@pytest.mark.parametrize("disk", [16], indirect=True)
def test_a_disk_that_fills_refuses_jobs_in_time_and_delivers_to_the_last(maild, judge, disk, tmp_path):
    server = judge()
    one = maild(relay=server.settings(), spool={"path": f"{disk.inside}/spool.db", "free_bytes_min": ROOMY})
    start(one, disk)
    one.control.call("Pause")
    taken, refusal = fill_to_the_bound(one, disk)
    assert refusal["error"] == "read_only" and refusal["retryable"] and refusal["retry_after"] > 0
    assert len(taken) > 20
    # Before SQLite met the end of the disk, and everybody is told.
    assert disk.free() > 0 and "SQLite" not in one.log()
    assert "no job is taken: the disk is nearly full" in one.log()
    status = one.status()
    assert status["read_only"] == "the disk is nearly full" and status["spool_free_bytes"] < ENOUGH
    assert metric(one, "maild_store_writable") == 0 and metric(one, "maild_store_free_bytes") < ENOUGH
    assert "nearly full" in one.mailctl("status").stdout
    one.notices.wait_for("STATUS=", "no job is taken: the disk is nearly full")
    # Now somebody else takes the rest: no byte is left.
    disk.fill()
    assert disk.free() == 0
    one.control.call("Resume")
    server.wait_for_messages(len(taken), seconds=60)
    one.wait_for_counts(ready=0, scheduled=0, running=0, failed=0)
    assert len(server.messages) == len(taken), "a job came twice, or not at all"
    # It takes jobs again by itself, though nobody asks.
    disk.empty()
    until(lambda: "read_only" not in one.status(), "jobs are taken again")
    assert "jobs are taken again" in one.log()
    with one.submission() as client:
        assert "job" in client.ask(job())
    one.wait_for_counts(ready=0, running=0)
    assert one.stop() == 0
    # A copy: SQLite follows the link by which the disk is seen from outside, to where it is not mounted.
    shutil.copy(f"{disk.outside}/spool.db", tmp_path)
    with sqlite3.connect(tmp_path / "spool.db") as spool:
        assert spool.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        assert spool.execute("SELECT count(*) FROM jobs").fetchone() == (0,)


def test_a_maild_that_dies_on_a_full_disk_starts_on_it_and_delivers(maild, judge, disk):
    server = judge()
    one = maild(relay=server.settings(), spool={"path": f"{disk.inside}/spool.db", "free_bytes_min": BOUND})
    start(one, disk)
    one.control.call("Pause")
    taken, _ = fill_with_jobs(one)
    disk.fill()
    one.kill()
    disk.fill()
    start(one, disk)
    one.control.call("Resume")
    server.wait_for_messages(len(taken), seconds=60)
    one.wait_for_counts(ready=0, scheduled=0, running=0, failed=0)
    # What is delivered makes room in the spool, and the spool gives it back; or this does.
    disk.empty()
    until(lambda: "read_only" not in one.status(), "jobs are taken again")


@pytest.mark.parametrize("disk", [16], indirect=True)
def test_without_the_bound_the_full_disk_itself_refuses_and_room_is_all_it_takes(maild, judge, disk):
    server = judge(hold=True)
    disk.fill(leave=6 << 20)
    one = maild(relay=server.settings(), spool={"path": f"{disk.inside}/spool.db", "free_bytes_min": 0})
    start(one, disk)
    one.control.call("Pause")
    taken, refusal = fill_with_jobs(one)
    assert refusal["error"] == "read_only" and refusal["retry_after"] > 0
    disk.empty()
    one.control.call("Resume")
    server.release()
    server.wait_for_messages(len(taken), seconds=60)
    one.wait_for_counts(ready=0, scheduled=0, running=0, failed=0, seconds=60)
    until(lambda: "read_only" not in one.status(), "jobs are taken again")
    with one.submission() as client:
        assert "job" in client.ask(job())
    one.kill()
    start(one, disk)
    one.wait_for_counts(ready=0, scheduled=0, running=0, failed=0)
    assert {message.message_id for message in server.messages} >= {f"<{id}@client.example>" for id in taken}
