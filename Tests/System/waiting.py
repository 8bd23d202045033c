# maild, the mail-job daemon
# SPDX-License-Identifier: Apache-2.0
"""The one place where a test waits: until something is so, never for a time that was guessed."""

import socket
import time

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
    """A TCP port of the loopback that nobody listens on at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def is_listening(port):
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
