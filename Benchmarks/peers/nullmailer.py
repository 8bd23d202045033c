# maild, the mail-job daemon
# SPDX-License-Identifier: Apache-2.0
"""nullmailer's sendmail: one process a message, two syncs each."""

import os
import shutil
import subprocess

from peers.root import make_root, remove_root, unpacked_version, write
from processes import PROGRAMS, run_command


class Nullmailer:
    name = "nullmailer"
    settings = "as delivered; nothing drains the queue meanwhile"

    def __init__(self, directory):
        self.root = make_root(directory / "root")
        write(self.root, "etc/mailname", "bench.localhost\n")
        write(self.root, "etc/nullmailer/me", "bench.localhost\n")
        write(self.root, "etc/nullmailer/remotes", "127.0.0.1 smtp\n")
        spool = self.root / "var/spool/nullmailer"
        for name in ("queue", "tmp", "failed"):
            (spool / name).mkdir(parents=True, exist_ok=True)
        os.mkfifo(spool / "trigger", 0o622)
        subprocess.run(["chown", "-R", "8:8", spool], check=True)
        shutil.copy(PROGRAMS / "spawnload", self.root / "spawnload")

    @staticmethod
    def version():
        return "nullmailer " + unpacked_version("nullmailer")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        remove_root(self.root)

    def sendmail_rate(self, at_once, runs, message):
        shutil.copy(message, self.root / "message")
        return run_command("chroot", self.root, "/spawnload", "-n", runs, "-p", at_once, "-i", "/message",
                           "/usr/sbin/sendmail", "-i", "-f", "app@example.org", "u@bench.example")["runs_per_s"]
