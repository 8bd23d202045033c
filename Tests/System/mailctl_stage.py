# maild, the mail-job daemon
# SPDX-License-Identifier: Apache-2.0
"""mailctl as a process before a stand-in for maild: what its tests share."""

import fcntl
import json
import os
import pathlib
import pty
import re
import struct
import subprocess
import termios

import pytest
from fake_maild import JOB, FakeMaild, job_id

REPOSITORY = pathlib.Path(__file__).resolve().parents[2]
NOBODY = 65534
SECONDS_MAX = 60

SUMMARY = {
    "id": JOB, "state": "scheduled", "kind": "email", "priority": 4, "accepted_at": "2026-01-02T03:04:05.678Z",
    "due_at": "2026-01-02T03:09:05Z", "attempts": 1, "uid": 1000, "bytes": 2048, "from": "app@example.org",
    "to": ["ann@example.com", "bob@example.com"], "ref": "order-17", "last_reply": "451 4.7.1 Greylisted",
}
STATUS = {
    "version": "9.8.7", "pid": 4242, "started_at": "2026-01-02T03:04:05Z", "state": "serving", "paused": True,
    "workers": 8, "workers_configured": 4,
    "counts": {"ready": 12, "scheduled": 3, "running": 2, "held": 1, "failed": 5},
    "oldest_ready_seconds": 75.0, "accepted_total": 1234, "delivered_total": 1200, "failed_total": 7,
    "spool_bytes": 1572864,
    "worker_list": [
        {"number": 1, "state": "running", "seconds": 0.25, "job": JOB, "kind": "email"},
        {"number": 2, "state": "idle", "seconds": 61.0, "job": None, "kind": None},
    ],
    "relays": [{
        "name": "hub", "transport": "smtp", "address": "192.0.2.1:25", "connections": 3, "idle": 1,
        "delivered": 1200, "deferred": 20, "rejected": 7, "breaker": "closed", "waiting": 0,
    }],
}
SHOWN = {
    "job": SUMMARY, "expires_at": "2026-01-07T03:04:05Z", "finished_at": None, "subject": "Your order",
    "history": [{
        "at": "2026-01-02T03:04:06Z", "seconds": 0.123, "relay": "hub", "peer": "192.0.2.1:25",
        "fates": [
            {"recipient": "ann@example.com", "verdict": "delivered", "code": 250, "enhanced": "2.0.0", "text": "Ok"},
            {"recipient": "bob@example.com", "verdict": "deferred", "code": 451, "enhanced": "4.7.1",
             "text": "Greylisted"},
        ],
    }],
}


@pytest.fixture
def binary():
    path = pathlib.Path(os.environ.get("MAILCTL_BIN", REPOSITORY / ".build/release/mailctl"))
    assert path.exists(), f"{path} is missing: build it, or name it in MAILCTL_BIN"
    return str(path)


@pytest.fixture
def maild(tmp_path):
    daemon = FakeMaild(tmp_path)
    yield daemon
    daemon.close()


@pytest.fixture
def environment(tmp_path):
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("MAILD_", "NO_COLOR"))}
    return kept | {
        "MAILD_SUBMIT_SOCKET": str(tmp_path / "submit.sock"),
        "MAILD_CONTROL_SOCKET": str(tmp_path / "control.sock"),
        "TERM": "xterm",
    }


@pytest.fixture
def mailctl(binary, environment):
    def run(*arguments, input=None, **options):
        stdin = {"stdin": subprocess.DEVNULL} if input is None else {"input": input}
        return subprocess.run(
            [binary, *arguments], env=environment, capture_output=True, timeout=SECONDS_MAX, **stdin, **options)
    return run


@pytest.fixture
def on_terminal(binary, environment):
    """Runs mailctl with all three streams on a terminal of 80 columns; returns its exit status and its output."""

    def run(*arguments, **variables):
        master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
        process = subprocess.Popen(
            [binary, *arguments], env=environment | variables, stdin=slave, stdout=slave, stderr=slave)
        os.close(slave)
        output = b""
        while True:
            try:
                piece = os.read(master, 65536)
            except OSError:  # EIO: the last holder of the other end has gone
                break
            if not piece:
                break
            output += piece
        os.close(master)
        return process.wait(SECONDS_MAX), output.decode()

    return run


def jobs(count, **fields):
    return b"".join(
        json.dumps({"to": "a@example.com", "from": "b@example.org", "ref": f"r{n}", **fields}).encode() + b"\n"
        for n in range(1, count + 1))


def complaints(result):
    """Standard error without the summary."""
    lines = result.stderr.decode().splitlines()
    return [line for line in lines if not re.fullmatch(r"mailctl: \d+ taken.*", line)]


def paged(count):
    """A List that knows `count` jobs, numbered from 1."""

    def reply(parameters):
        first = int(parameters.get("after") or 0) + 1
        last = min(count, first + parameters.get("limit", 100) - 1)
        page = [SUMMARY | {"id": job_id(n)} for n in range(first, last + 1)]
        return {"parameters": {"jobs": page} | ({"next": job_id(last)} if last < count else {})}

    return reply
