# maild, the mail-job daemon
# SPDX-License-Identifier: Apache-2.0
"""The life of a job in a real journal: found by the job and by its trace, and the same as `mailctl show` tells. A
journald of the test's own runs in a mount namespace; needs root."""

import json
import os
import subprocess
from pathlib import Path

import pytest
from box import obstacle
from submission import job
from waiting import until

TRACE = "0af7651916cd43dd8448eb211c80319c"
CONNECTED = 'JOURNAL_STREAM=$(stat -L -c %d:%i /proc/self/fd/2) exec "$@"'
"""systemd sets it for its services; systemd-cat of Debian 12 does not."""


class Journal:
    """systemd-journald with a /run of its own."""

    def __init__(self):
        self.place = subprocess.Popen(
            ["unshare", "-m", "sh", "-c",
             "mount --make-rprivate / && mount -t tmpfs tmpfs /run && echo made && read _"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self.place.stdout.readline() == "made\n"
        # The shell that unshare became holds the namespace.
        run = Path(f"/proc/{self.place.pid}/root/run")
        (run / "systemd/journal").mkdir(parents=True)
        (run / "log/journal").mkdir(parents=True)
        self.daemon = subprocess.Popen(
            self.within("/lib/systemd/systemd-journald"), stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        until((run / "systemd/journal/stdout").exists, "journald listens",
              failed=lambda: self.daemon.poll() is not None)

    def within(self, *command):
        return ["nsenter", f"--mount=/proc/{self.place.pid}/ns/mnt", f"--wdns={os.getcwd()}", *map(str, command)]

    def connected(self, command):
        """The command with its standard error in the journal, as systemd starts a service."""
        return self.within("systemd-cat", "-t", "maild", "bash", "-c", CONNECTED, "bash", *command)

    def entries(self, *matches):
        subprocess.run(self.within("journalctl", "--sync"), check=True, timeout=60)
        shown = subprocess.run(
            self.within("journalctl", "-D", "/run/log/journal", "-o", "json", *matches), capture_output=True, text=True,
            timeout=60)
        return [json.loads(line) for line in shown.stdout.splitlines()]

    def stop(self):
        for process in (self.daemon, self.place):
            process.terminate()
            process.wait(20)


@pytest.fixture
def journal():
    reason = None if os.geteuid() == 0 else obstacle() or "needs root"
    if reason:
        (pytest.fail if os.environ.get("CI") else pytest.skip)(reason)
    made = Journal()
    yield made
    made.stop()


@pytest.fixture
def logged(maild, judge, journal):
    server = judge()
    one = maild(relay=server.settings(), queue={"bulk": {"weight": 1}})
    one.notices.forget()
    one.spawn(journal.connected(one.command))
    one.notices.wait_for("READY=1", alive=one.is_alive)
    return one


def test_each_job_finds_its_own_life_though_they_came_together(logged, journal):
    with logged.submission() as client:
        delivered, traced, waiting = [answer["job"] for answer in client.send(
            job(), job(traceparent=f"00-{TRACE}-b7ad6b7169203331-01"), job(delay=3600)).answers(3)]
    logged.control.call("Hold", ids=[waiting])
    logged.control.call("Cancel", ids=[waiting])
    for name, words in ((delivered, ["accepted", "delivered"]), (traced, ["accepted", "delivered"]),
                        (waiting, ["accepted", "held by uid 0", "cancelled by uid 0"])):
        told = until(lambda: len(found := journal.entries(f"MAILD_JOB={name}")) == len(words) and found,
                     f"the journal has the life of {name}")
        told.sort(key=lambda entry: "accepted" not in entry["MESSAGE"])
        for entry, word in zip(told, words):
            assert word in entry["MESSAGE"] and len(entry["MESSAGE_ID"]) == 32 and name in entry["MAILD_JOB"], entry
            assert entry["SYSLOG_IDENTIFIER"] == "maild" and entry["MAILD_KIND"] == "email"
    assert [entry["MESSAGE"] for entry in journal.entries(f"MAILD_TRACE_ID={TRACE}")] == [
        entry["MESSAGE"] for entry in journal.entries(f"MAILD_JOB={traced}")]


def test_many_jobs_that_came_at_once_are_each_found(logged, journal):
    logged.control.call("Pause")
    with logged.submission() as client:
        names = [answer["job"] for answer in client.send(*(job(queue="bulk") for _ in range(100))).answers(100)]
    for name in (names[0], names[31], names[32], names[99]):
        [entry] = until(lambda: journal.entries(f"MAILD_JOB={name}"), f"the journal has {name}")
        assert " accepted from uid 0" in entry["MESSAGE"] and entry["MAILD_QUEUE"] == "bulk"
    told = {entry["__CURSOR"]: entry for entry in journal.entries("MAILD_QUEUE=bulk")}
    found = [name for entry in told.values() for name in
             (entry["MAILD_JOB"] if isinstance(entry["MAILD_JOB"], list) else [entry["MAILD_JOB"]])]
    assert sorted(found) == sorted(names)
