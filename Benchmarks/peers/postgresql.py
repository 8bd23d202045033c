# maild, the mail-job daemon
# SPDX-License-Identifier: Apache-2.0
"""PostgreSQL as a queue: one script of pgbench inserts a job, takes one by SKIP LOCKED and deletes it."""

import os
import re
import subprocess
from pathlib import Path

from processes import Failure, Process, version_of, wait_for

TABLE = "CREATE TABLE job (id bigserial PRIMARY KEY, state smallint NOT NULL, body text NOT NULL);" \
        "CREATE INDEX job_ready ON job (id) WHERE state = 0;"
PUT = "INSERT INTO job (state, body) VALUES (0, repeat('x', 300));\n"
TAKE = "BEGIN;\n" \
       "DELETE FROM job WHERE id = (SELECT id FROM job WHERE state = 0 ORDER BY id FOR UPDATE SKIP LOCKED LIMIT 1);\n" \
       "COMMIT;\n"


def programs():
    """Debian keeps each version's programs in a directory of its own."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"), key=lambda path: int(path.parts[4]))
    if not found:
        raise Failure("PostgreSQL is missing; `make bench` installs it")
    return found[-1].parent


def as_postgres(*words):
    """The server refuses to be root."""
    user = ["setpriv", "--reuid=postgres", "--regid=postgres", "--init-groups"] if os.geteuid() == 0 else []
    return [*user, *map(str, words)]


class PostgreSQL(Process):
    name = "PostgreSQL"
    settings = "fsync and synchronous_commit on, as delivered; Unix socket"

    def __init__(self, directory):
        self.directory, self.data = directory, directory / "data"
        self.data.mkdir()
        if os.geteuid() == 0:
            for place in (directory, self.data):
                subprocess.run(["chown", "postgres", place], check=True)
        made = subprocess.run(as_postgres(programs() / "initdb", "-D", self.data, "-A", "trust", "-U", "bench"),
                              capture_output=True, text=True, cwd="/")
        if made.returncode:
            raise Failure(f"initdb: {made.stderr}")
        super().__init__(as_postgres(programs() / "postgres", "-D", self.data, "-k", directory, "-h", ""),
                         directory.parent / f"{directory.name}.log")

    @staticmethod
    def version():
        return version_of(programs() / "postgres", "--version")

    def __enter__(self):
        wait_for(lambda: self.check_alive() and self.answers(), "PostgreSQL answers")
        self.run("psql", "-q", "-c", TABLE, "postgres")
        return self

    def answers(self):
        return subprocess.run(["psql", *self.options(), "-c", "", "postgres"], capture_output=True).returncode == 0

    def options(self):
        return ["-h", str(self.directory), "-U", "bench"]

    def run(self, program, *words):
        command = [programs() / program, *self.options(), *words]
        done = subprocess.run([str(word) for word in command], capture_output=True, text=True)
        if done.returncode:
            raise Failure(f"{program}: {done.stderr}")
        return done.stdout

    def rate(self, script, clients, jobs):
        file = self.directory / "script.sql"
        file.write_text(script)
        shown = self.run("pgbench", "-n", "-M", "prepared", "-c", clients, "-j", 2, "-t", max(1, jobs // clients),
                         "-f", file, "postgres")
        return float(re.search(r"tps = ([0-9.]+)", shown).group(1))
