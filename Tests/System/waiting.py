# maild, the mail-job daemon
# SPDX-License-Identifier: Apache-2.0
"""The one place where a test waits: until something is so, never for a time that was guessed."""

import errno
import random
import socket
import time
from pathlib import Path

PATIENCE = 20.0
"""Seconds after which something that should happen is taken not to happen: generous, for a loaded machine."""


def until(check, what, seconds=PATIENCE, failed=lambda: False):
    """Polls `check` until it is truthy and returns that; fails with `what` after `seconds`, or as soon as `failed`."""
    deadline = time.monotonic() + seconds
    while True:
        found = check()
        if found:
            return found
        if failed() or time.monotonic() > deadline:
            raise AssertionError(f"after {seconds} s still not: {what}")
        time.sleep(0.01)


def free_port():
    """A TCP port of the loopback that nobody has at this moment. None of those that the kernel gives to connections: a
    maild that is started again would find somebody's connection on it."""
    first = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    while True:
        port = random.randrange(max(1024, first // 2), max(2048, first))
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
                return port
            except OSError as error:
                if error.errno != errno.EADDRINUSE:
                    raise


def is_listening(port):
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
