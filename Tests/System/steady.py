# maild, the mail-job daemon
# SPDX-License-Identifier: Apache-2.0
"""A client that goes on whatever happens to maild, and keeps a record of it."""

import re
import threading

from submission import job
from waiting import PATIENCE, until


class Steady:
    """A client that never stops: one job a connection, sent again where maild was restarted before it could answer.
    `taken`: subjects that were answered; `refused`: whatever a client should never see."""

    def __init__(self, box, name="steady"):
        self.box, self.name = box, name
        self.taken, self.refused = set(), []
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._work, daemon=True)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._end.set()
        self._thread.join(PATIENCE)

    def wait_for_more(self, count):
        wanted = len(self.taken) + count
        until(lambda: len(self.taken) >= wanted, f"{count} more jobs are taken; refused: {self.refused[:5]}")

    def wait_until_delivered(self):
        """All that was taken; a job that was under way in a crash may come twice."""
        until(lambda: self.taken <= subjects(self.box), "every job that was taken is delivered")

    def _work(self):
        number = 0
        while not self._end.is_set():
            number += 1
            self._hand_in(f"{self.name}-{number}")

    def _hand_in(self, subject):
        while not self._end.is_set():
            try:
                with self.box.submission() as client:
                    answer = client.ask(job(subject=subject))
            except (ConnectionResetError, BrokenPipeError):
                answer = None  # Connected and not yet answered when maild was killed.
            except OSError as error:
                self.refused.append(repr(error))
                answer = None
            if answer and "job" in answer:
                self.taken.add(subject)
                return
            if answer and answer["error"] != "draining":
                self.refused.append(answer)


def subjects(box):
    return {re.search(r"^Subject: (.*)$", text, re.MULTILINE).group(1).strip() for text in box.mail()}
