# maild, the mail-job daemon
# SPDX-License-Identifier: Apache-2.0
"""The answer leaves after the job is on disk: seen from the system calls of maild itself."""

import re
import subprocess

from submission import job
from waiting import until

CALLS = "trace=fsync,fdatasync,write,writev,pwrite64,pwritev,sendmsg,sendto,send"
"""What puts a job on disk and an answer on a socket."""


class Trace:
    """strace's log of one process, as (thread, call, rest of the line) in the order in which the calls returned."""

    def __init__(self, process, path):
        self.path = path
        self.strace = subprocess.Popen(
            ["strace", "-f", "-y", "-s", "4096", "-e", CALLS, "-o", str(path), "-p", str(process)],
            stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        line = self.strace.stderr.readline()
        assert "attached" in line, line

    def stop(self):
        self.strace.terminate()
        self.strace.wait(20)

    def events(self):
        began, events = {}, []
        for line in self.path.read_text(errors="replace").splitlines():
            found = re.match(r"(\d+) +(.*)", line)
            if not found:
                continue
            thread, text = found.groups()
            if text.endswith("<unfinished ...>"):
                began[thread] = text.removesuffix("<unfinished ...>")
                # An answer counts from the moment its write begins, a sync only when it is over.
                events.append((f"begin {began[thread]}"))
            elif text.startswith("<..."):
                events.append(f"end {began.pop(thread, '')} {text}")
            else:
                events.append(f"both {text}")
        return events


def first(events, *words, after=-1):
    """Index of the first event after `after` that has all `words` in it."""
    for index in range(after + 1, len(events)):
        if all(word in events[index] for word in words):
            return index
    raise AssertionError(f"no call with {words} after number {after}:\n" + "\n".join(events[-40:]))


def is_sync(event):
    return re.match(r"(end|both) .*f(data)?sync\(", event) and "spool.db" in event and "= 0" in event


def test_the_answer_is_written_after_the_job_was_synced(running, tmp_path):
    trace = Trace(running.pid, tmp_path / "trace")
    names = []
    try:
        with running.submission() as client:
            for n in range(20):
                # A text of its own, so that its way into the spool's file can be told from the other jobs'.
                names.append(client.ask(job(ref=f"durable-{n}", content=f"needle{n:04d}needle" * 3))["job"])
        until(lambda: names[-1] in trace.path.read_text(errors="replace"), "strace has seen the last answer")
    finally:
        trace.stop()
    events = trace.events()
    for n, name in enumerate(names):
        written = first(events, "pwrite64", "spool.db", f"needle{n:04d}needle")
        answered = first([event.replace("\\", "") for event in events], f'"{name}"')
        assert not events[answered].startswith("end"), "the answer is seen from its beginning"
        synced = [index for index in range(written + 1, answered) if is_sync(events[index])]
        assert synced, "no sync between:\n" + "\n".join(event[:200] for event in events[written:answered + 1])


def test_many_jobs_share_a_sync(running, tmp_path):
    trace = Trace(running.pid, tmp_path / "trace")
    try:
        with running.submission() as client:
            answers = client.send(*(job() for _ in range(2000))).finish()
        running.wait_for_counts(ready=0, running=0)
    finally:
        trace.stop()
    assert len(answers) == 2000
    assert sum(bool(is_sync(event)) for event in trace.events()) < 1000
