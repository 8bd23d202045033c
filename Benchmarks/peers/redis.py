# maild, the mail-job daemon
# SPDX-License-Identifier: Apache-2.0
"""Redis that syncs its log before each answer (`appendfsync always`), loaded by redis-benchmark on a Unix socket."""

import csv
import subprocess

from processes import Failure, Process, version_of, wait_for

PAYLOAD = "x" * 300
COMMANDS = {"LPUSH": ["LPUSH", "bench", PAYLOAD], "XADD": ["XADD", "bench", "*", "job", PAYLOAD]}


class Redis(Process):
    name = "Redis"
    settings = "appendonly yes, appendfsync always, no snapshots, Unix socket"

    def __init__(self, directory):
        self.socket = directory / "redis.sock"
        super().__init__(
            ["redis-server", "--port", 0, "--unixsocket", self.socket, "--dir", directory, "--save", "",
             "--appendonly", "yes", "--appendfsync", "always", "--daemonize", "no"], directory / "redis.log")

    @staticmethod
    def version():
        return version_of("redis-server", "--version")

    def __enter__(self):
        wait_for(lambda: self.check_alive() and self.socket.exists(), "Redis listens")
        return self

    def rate(self, command, connections, window, jobs):
        words = ["redis-benchmark", "-s", self.socket, "-c", connections, "-P", window, "-n", jobs, "--csv"]
        done = subprocess.run([str(word) for word in words + COMMANDS[command]], capture_output=True, text=True)
        if done.returncode:
            raise Failure(f"redis-benchmark: {done.stderr}")
        return float(list(csv.DictReader(done.stdout.splitlines()))[0]["rps"])
