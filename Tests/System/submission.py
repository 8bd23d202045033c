# maild, the mail-job daemon
# SPDX-License-Identifier: Apache-2.0
"""A client of the submission socket that does on purpose what a library would not."""

import json
import socket

from waiting import PATIENCE

JOB = {"to": "a@example.com", "from": "app@example.org", "subject": "hi", "content": "text"}


def job(**fields):
    """The smallest job with `fields` changed or added; None takes one away."""
    return {key: value for key, value in (JOB | fields).items() if value is not None}


def line(request):
    """Bytes go as they are, anything else as JSON."""
    return request if isinstance(request, bytes) else json.dumps(request).encode() + b"\n"


class Submission:
    """One connection."""

    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.connect(str(path))  # Blocking: where the queue is full, a socket with a timeout gets EAGAIN.
        self.socket.settimeout(PATIENCE)
        self._buffer = b""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.socket.close()

    def send(self, *requests):
        self.socket.sendall(b"".join(line(request) for request in requests))
        return self

    def answer(self):
        """The next line; None at the end of the connection."""
        while b"\n" not in self._buffer:
            chunk = self.socket.recv(1 << 16)
            if not chunk:
                assert not self._buffer, f"the connection ended in the middle of an answer: {self._buffer}"
                return None
            self._buffer += chunk
        answer, self._buffer = self._buffer.split(b"\n", 1)
        return json.loads(answer)

    def answers(self, count):
        return [self.answer() for _ in range(count)]

    def ask(self, request):
        """One request, one answer."""
        return self.send(request).answer()

    def finish(self):
        """Shuts the writing side and returns all answers up to the end."""
        self.socket.shutdown(socket.SHUT_WR)
        answers = []
        while (answer := self.answer()) is not None:
            answers.append(answer)
        return answers
