# maild, the mail-job daemon
# SPDX-License-Identifier: Apache-2.0
"""mailctl top in a pseudo-terminal, and in a pipe."""

import fcntl
import json
import os
import pty
import re
import signal
import struct
import subprocess
import termios

import pytest
from maild import MAILCTL
from submission import job
from waiting import until

ENTER, LEAVE = b"\x1b[?1049h", b"\x1b[?1049l"


@pytest.fixture
def busy(maild, judge):
    server = judge()
    one = maild(workers=2, relay=server.settings()).start()
    with one.submission() as client:
        client.send(*(job() for _ in range(5))).answers(5)
        one.wait_for_counts(ready=0, running=0)
        server.hold = True
        client.send(*(job() for _ in range(6))).answers(6)
    server.wait_for_held(2)
    yield one
    server.release()


def environment(maild, **more):
    return {"PATH": os.environ["PATH"], "TERM": "xterm", "MAILD_CONTROL_SOCKET": str(maild.control_path)} | more


class Watcher:
    """mailctl top in a terminal of its own."""

    def __init__(self, maild, *options, columns=80, rows=24, **more):
        self.leader, follower = pty.openpty()
        self.before = termios.tcgetattr(follower)
        self.resize(columns, rows)
        self.process = subprocess.Popen(
            [MAILCTL, "top", "--interval", "0.1", *options], stdin=follower, stdout=follower, stderr=follower,
            env=environment(maild, **more), start_new_session=True)
        self.follower = follower
        os.set_blocking(self.leader, False)
        self.seen = b""

    def resize(self, columns, rows):
        fcntl.ioctl(self.leader, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def read(self):
        try:
            self.seen += os.read(self.leader, 65536)
        except BlockingIOError:
            pass
        return self.seen

    def wait_for(self, text):
        until(lambda: text in self.page(), f"{text!r} on the screen")

    def page(self):
        """The lines of the last whole page, without styles."""
        pages = self.read().split(b"\x1b[H")
        last = pages[-2] if len(pages) > 2 else pages[-1]
        return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", last.decode())

    def end(self):
        until(lambda: self.read() is not None and self.process.poll() is not None, "the end of mailctl top")
        self.read()
        after = termios.tcgetattr(self.follower)
        os.close(self.leader)
        os.close(self.follower)
        return self.process.returncode, after


def test_it_shows_rates_ages_workers_and_relays_at_ease_in_80_columns(busy):
    watcher = Watcher(busy)
    watcher.wait_for("Workers 2 of 2 running")
    watcher.wait_for("4 ready (oldest")
    watcher.wait_for("0/s delivered")
    page = watcher.page()
    assert re.search(r"judge +closed +2 ", page) and "email" in page
    assert all(len(line) <= 80 for line in page.split("\r\n"))
    os.write(watcher.leader, b"q")
    status, after = watcher.end()
    assert status == 0 and after == watcher.before
    assert watcher.seen.startswith(ENTER) and watcher.seen.endswith(LEAVE)


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM"])
def test_a_signal_gives_the_terminal_back(busy, name):
    watcher = Watcher(busy)
    watcher.wait_for("Workers 2 of 2")
    watcher.process.send_signal(getattr(signal, name))
    status, after = watcher.end()
    assert status == 0 and after == watcher.before and watcher.seen.endswith(LEAVE)


def test_a_new_size_is_used_at_once_and_never_overrun(busy):
    watcher = Watcher(busy, "--interval", "60")
    watcher.wait_for("Workers 2 of 2 running")
    watcher.seen = b""
    watcher.resize(40, 4)
    watcher.process.send_signal(signal.SIGWINCH)
    until(lambda: b"\x1b[J" in watcher.read(), "a new page")
    lines = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", watcher.seen.decode()).split("\r\n")
    assert len(lines) == 4 and all(len(line) <= 40 for line in lines)
    os.write(watcher.leader, b"q")
    assert watcher.end()[0] == 0


def test_it_waits_for_a_maild_that_is_restarted(busy):
    watcher = Watcher(busy, NO_COLOR="1")
    watcher.wait_for("Workers 2 of 2 running")
    assert b"\x1b[1m" not in watcher.seen and b"\x1b[31m" not in watcher.seen
    busy.kill()
    watcher.wait_for("does not answer")
    busy.start()
    watcher.wait_for(", running")
    os.write(watcher.leader, b"q")
    assert watcher.end()[0] == 0


def test_in_a_pipe_it_is_plain_and_ends(busy):
    run = subprocess.run(
        [MAILCTL, "top", "--interval", "0.1"], env=environment(busy), stdin=subprocess.DEVNULL, capture_output=True)
    assert run.returncode == 0 and b"\x1b" not in run.stdout and run.stderr == b""
    assert b"Workers 2 of 2 running" in run.stdout and b"0/s accepted" in run.stdout
    pages = subprocess.run(
        [MAILCTL, "top", "--interval", "0.1", "--count", "3", "--json"], env=environment(busy),
        stdin=subprocess.DEVNULL, capture_output=True, check=True).stdout.splitlines()
    assert len(pages) == 3 and all(json.loads(page)["workers"] == 2 for page in pages)


@pytest.mark.parametrize("options", [["--interval", "0"], ["--interval", "x"], ["--count", "0"]])
def test_options_that_cannot_be_are_refused(busy, options):
    run = subprocess.run([MAILCTL, "top", *options], env=environment(busy), capture_output=True)
    assert run.returncode == 64 and options[0].encode() in run.stderr


def test_without_a_maild_it_says_so_and_ends(maild):
    run = subprocess.run([MAILCTL, "top"], env=environment(maild()), capture_output=True)
    assert run.returncode == 69


def test_several_queues_have_a_line_each(maild):
    one = maild(queue={"bulk": {"weight": 2}}).start()
    one.control.call("Pause", queue="bulk")
    with one.submission() as client:
        client.send(*(job(queue="bulk") for _ in range(3))).answers(3)
    watcher = Watcher(one)
    watcher.wait_for("paused")
    page = watcher.page()
    assert re.search(r"\r\nbulk +2 +3 +\S+(?: \S+)? +0 +0 +0 +paused", page) and re.search(r"\r\ndefault +1 +0 ", page)
    assert all(len(line) <= 80 for line in page.split("\r\n"))
    os.write(watcher.leader, b"q")
    assert watcher.end()[0] == 0
