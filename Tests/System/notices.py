# maild, the mail-job daemon
# SPDX-License-Identifier: Apache-2.0
"""The socket that systemd would hold: what maild says of itself by sd_notify, in order."""

import os
import socket
import threading
import time

from waiting import PATIENCE


class Notices:
    """Collects datagrams in a thread, so that maild never waits for its test."""

    def __init__(self, path):
        self.path = str(path)
        self.all = []
        """(monotonic time, text) of each datagram; the text is one or more lines of NAME=VALUE."""
        self._changed = threading.Condition()
        self._taken = 0
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(self.path)
        threading.Thread(target=self._collect, daemon=True).start()

    def _collect(self):
        while True:
            try:
                text = self._socket.recv(65536).decode()
            except OSError:
                return
            if text == "END":
                return
            with self._changed:
                self.all.append((time.monotonic(), text))
                self._changed.notify_all()

    def wait_for(self, *wanted, seconds=PATIENCE, alive=lambda: True):
        """Takes datagrams in order up to one that has a line with each of `wanted` in it; returns its text.

        `alive` says whether there is still somebody to wait for.
        """
        deadline = time.monotonic() + seconds
        with self._changed:
            while True:
                while self._taken < len(self.all):
                    text = self.all[self._taken][1]
                    self._taken += 1
                    if all(any(word in line for line in text.splitlines()) for word in wanted):
                        return text
                heard = [text for _, text in self.all[-10:]]
                assert alive(), f"maild ended before it said {wanted}; it said {heard}"
                assert time.monotonic() < deadline, f"{wanted} was not said in {seconds} s; the last was {heard}"
                self._changed.wait(0.1)

    def forget(self):
        """What was said up to now is not waited for any more."""
        with self._changed:
            self._taken = len(self.all)

    def said(self, wanted):
        """All datagrams so far with a line that has `wanted` in it."""
        with self._changed:
            return [text for _, text in self.all if any(wanted in line for line in text.splitlines())]

    def close(self):
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as end:
            end.sendto(b"END", self.path)
        self._socket.close()
        os.unlink(self.path)
