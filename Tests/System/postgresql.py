# maild, the mail-job daemon
# SPDX-License-Identifier: Apache-2.0
"""A PostgreSQL of the test's own, on a socket in a directory of its own, that can be stopped and started again."""

import os
import shutil
import subprocess
import tempfile
from pathlib import Path


def binaries():
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(path.parent.name))
    assert found, "PostgreSQL is not installed: scripts/install-deps test"
    return found[-1]


class PostgreSQL:
    def __init__(self, host=None):
        """`host`: of a network of its own (network.py), at whose address it listens as well."""
        self.host = host
        self.directory = Path(tempfile.mkdtemp(prefix="maild-postgresql-"))
        if os.geteuid() == 0:
            shutil.chown(self.directory, "postgres", "postgres")
        self._run("initdb", "--auth", "trust", "--username", "maild", "--no-sync")
        if host:
            with open(self.directory / "data/pg_hba.conf", "a") as rules:
                rules.write("host all all 10.77.0.0/16 trust\n")
        self.start()

    @property
    def uri(self):
        if self.host:
            return f"postgresql://maild@{self.host.address}/postgres"
        return f"postgresql://maild@/postgres?host={self.directory}"

    def _run(self, program, *arguments):
        # It refuses to run as root.
        drop = ["setpriv", "--reuid", "postgres", "--regid", "postgres", "--clear-groups"] if os.geteuid() == 0 else []
        prefix = self.host.prefix if self.host else []
        command = [
            *prefix, *drop, str(binaries() / program), "--pgdata", str(self.directory / "data"), *arguments]
        done = subprocess.run(
            command, cwd=self.directory, text=True, timeout=120, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE)
        assert done.returncode == 0, done.stderr

    def start(self):
        self._run(
            "pg_ctl", "--log", str(self.directory / "log"), "--wait", "--options",
            f"-k {self.directory} -c listen_addresses={self.host.address if self.host else ''}", "start")

    def stop(self, mode="immediate"):
        self._run("pg_ctl", "--mode", mode, "--wait", "stop")

    def ask(self, question):
        """Lines of values, separated by a bar."""
        done = subprocess.run(
            ["psql", "--no-psqlrc", "--host", str(self.directory), "--username", "maild", "--tuples-only", "--no-align",
             "--command", f"SET search_path = maild; {question}", "--quiet", "postgres"],
            text=True, capture_output=True, timeout=60, check=True)
        return done.stdout.split()

    def clean_up(self):
        try:
            self.stop()
        except AssertionError:
            pass  # It is stopped.
        shutil.rmtree(self.directory)
