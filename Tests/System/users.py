# maild, the mail-job daemon
# SPDX-License-Identifier: Apache-2.0
"""Clients that are other users. What counts is who connects (unix(7), SO_PEERCRED): a connection made as one user may
be used by another ever after."""

import os
import stat
from contextlib import contextmanager

from submission import Submission

BULK, SHOP, GUEST = 20001, 20002, 20003
"""User numbers that no system gives by itself."""


@contextmanager
def being(uid, gid=None, groups=()):
    """This process is another user to the kernel, until the end of the block."""
    assert os.geteuid() == 0, "tests with several users must run as root"
    before = os.getegid(), os.getgroups()
    os.setgroups(groups)
    os.setegid(uid if gid is None else gid)
    os.seteuid(uid)
    try:
        yield
    finally:
        os.seteuid(0)
        os.setegid(before[0])
        os.setgroups(before[1])


def open_to_all(path):
    """Anybody may connect to the socket at `path`: as packaging does it with a group of the apps."""
    path.chmod(0o666)
    for directory in path.parents:
        mode = directory.stat().st_mode
        if not mode & stat.S_IXOTH:
            directory.chmod(stat.S_IMODE(mode) | stat.S_IXOTH)


def submission_of(maild, uid, gid=None, groups=()):
    """A connection of that user."""
    open_to_all(maild.submit_path)
    with being(uid, gid, groups):
        return Submission(maild.submit_path)


def pour(client, text, count):
    """Writes `text`, lines that are all good, `count` times; returns when all of it was answered."""
    lines = text.count(b"\n")
    answered = written = 0
    while answered < count * lines:
        while written < count and written * lines - answered < 8000:
            client.socket.sendall(text)
            written += 1
        answers = client.socket.recv(1 << 18)
        assert answers and b'"error"' not in answers, answers[:500]
        answered += answers.count(b"\n")
