# maild, the mail-job daemon
# SPDX-License-Identifier: Apache-2.0
"""The README's first command, typed at a terminal: `make run`, look, Ctrl-C."""

import os
import pty
import re
import select
import signal
import subprocess
import time
import urllib.request
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
MAILCTL = ROOT / ".build/release/mailctl"
CTRL_C = b"\x03"


class Terminal:
    """A program on a pseudo-terminal of its own; `text` is what it has shown so far."""

    def __init__(self, arguments, environment):
        self.text = ""
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            # Ignored, as it is in all that a shell has put into the background, it would stay so for every child.
            signal.signal(signal.SIGINT, signal.SIG_DFL)
            os.chdir(ROOT)
            os.execvpe(arguments[0], arguments, environment)

    def read_until(self, words, seconds):
        """Reads until `words` are shown; an assertion with the whole text if they do not come in time."""
        deadline = time.monotonic() + seconds
        while words not in self.text:
            assert self._read(deadline - time.monotonic()), f"{words!r} was never shown:\n{self.text}"

    def end(self, seconds):
        """Reads until the program has ended and returns its exit status."""
        deadline = time.monotonic() + seconds
        while self._read(deadline - time.monotonic()):
            pass
        assert time.monotonic() < deadline, f"it did not end:\n{self.text}"
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])

    def _read(self, seconds):
        if seconds <= 0 or not select.select([self.fd], [], [], seconds)[0]:
            return False
        try:
            chunk = os.read(self.fd, 65536)
        except OSError:  # Linux answers EIO when the last process has left the terminal.
            return False
        self.text += chunk.decode(errors="replace")
        return chunk != b""


@contextmanager
def make_run(directory):
    """`make run` in `directory`, shown up to its last line. Hanging up the terminal ends it where a test has failed."""
    terminal = Terminal(["make", "run"], {**os.environ, "MAILD_RUN_DIR": str(directory)})
    try:
        terminal.read_until("Ctrl-C ends it.", seconds=900)
        yield terminal
    finally:
        os.close(terminal.fd)


def test_make_run_delivers_and_ends_cleanly(tmp_path):
    with make_run(tmp_path / "run") as terminal:
        assert re.search(r'\{"job":"[0-9A-Z]{13}","state":"ready"\}', terminal.text)
        message = terminal.text.split("The message, in")[1]
        assert re.search(r"^ +Subject: hello-\d+-\d+\s*$", message, re.MULTILINE)
        assert "It works." in message

        metrics = re.search(r"http://\S+/metrics", terminal.text).group()
        with urllib.request.urlopen(metrics, timeout=10) as answer:
            assert b"worker_jobs_processed_total" in answer.read()

        control = ["--control-socket", tmp_path / "run/control.sock"]
        status = subprocess.run([MAILCTL, "status", *control], capture_output=True, timeout=30)
        assert status.returncode == 0, status.stderr

        os.write(terminal.fd, CTRL_C)
        assert terminal.end(seconds=60) == 0, terminal.text
        assert "maild has drained and ended." in terminal.text


def test_a_second_run_is_quick_and_keeps_the_mail_of_the_first(tmp_path):
    for count in (1, 2):
        started = time.monotonic()
        with make_run(tmp_path / "run") as terminal:
            took = time.monotonic() - started
            os.write(terminal.fd, CTRL_C)
            assert terminal.end(seconds=60) == 0, terminal.text
        mail = [path for path in (tmp_path / "run/maildir").rglob("*") if path.is_file()]
        assert len(mail) == count
    assert took < 30, f"the second run took {took:.0f} s"
