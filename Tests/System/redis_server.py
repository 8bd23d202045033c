# maild, the mail-job daemon
# SPDX-License-Identifier: Apache-2.0
"""Debian's redis-server as a child, and a client of a few lines."""

import shutil
import socket
import subprocess
from pathlib import Path

from waiting import PATIENCE, free_port, is_listening, until


class RedisServer:
    """Keeps its data with each write, so that it may be killed. `arguments` go to redis-server."""

    def __init__(self, directory, *arguments, tls=None):
        self.directory = Path(directory)
        self.port = free_port()
        self.tls = tls
        self.arguments = arguments
        self.process = None

    def start(self):
        assert shutil.which("redis-server"), "redis-server is missing: scripts/install-deps test"
        ports = ["--port", str(self.port)]
        if self.tls:
            ports = ["--port", "0", "--tls-port", str(self.port), "--tls-cert-file", self.tls["certificate"],
                     "--tls-key-file", self.tls["key"], "--tls-ca-cert-file", self.tls["roots"],
                     "--tls-auth-clients", "no"]
        with open(self.directory / "redis.log", "ab") as log:
            self.process = subprocess.Popen(
                ["redis-server", *ports, "--bind", "127.0.0.1", "--dir", str(self.directory), "--appendonly", "yes",
                 "--appendfsync", "always", "--save", "", *self.arguments], stdout=log, stderr=log)
        until(lambda: is_listening(self.port), "redis-server listens", failed=lambda: self.process.poll() is not None)
        if not self.tls:
            until(self._answers, "redis-server has read its data", 60)
        return self

    def _answers(self):
        try:
            with self.client() as client:
                return client("PING") == b"PONG"
        except (RuntimeError, OSError):
            return False

    def kill(self):
        self.process.kill()
        self.process.wait()

    def clean_up(self):
        if self.process and self.process.poll() is None:
            self.kill()

    def client(self):
        return Redis(self.port)


class Redis:
    """`redis("XADD", "s", "*", "job", "{}")`; strings come as bytes, errors are raised."""

    def __init__(self, port):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=PATIENCE)
        self.file = self.socket.makefile("rb")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.file.close()
        self.socket.close()

    @staticmethod
    def command(words):
        words = [word if isinstance(word, bytes) else str(word).encode() for word in words]
        return b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%s\r\n" % (len(word), word) for word in words)

    def __call__(self, *words):
        self.socket.sendall(self.command(words))
        return self.reply()

    def many(self, commands):
        """One round trip for all of them."""
        self.socket.sendall(b"".join(self.command(words) for words in commands))
        return [self.reply() for _ in commands]

    def reply(self):
        line = self.file.readline()
        if not line.endswith(b"\r\n"):
            raise ConnectionError("redis-server hung up")
        kind, rest = line[:1], line[1:-2]
        if kind == b"-":
            raise RuntimeError(rest.decode())
        if kind == b":":
            return int(rest)
        if kind == b"$":
            return None if rest == b"-1" else self.file.read(int(rest) + 2)[:-2]
        if kind == b"*":
            return None if rest == b"-1" else [self.reply() for _ in range(int(rest))]
        return rest

    def entries(self, stream):
        """[{field: value}] of a stream, as text."""
        return [{name.decode(): value.decode() for name, value in zip(fields[::2], fields[1::2])}
                for _, fields in self("XRANGE", stream, "-", "+")]

    def pending(self, stream, group="maild"):
        return self("XPENDING", stream, group)[0]
