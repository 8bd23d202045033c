# maild, the mail-job daemon
# SPDX-License-Identifier: Apache-2.0
"""A small disk that nobody else sees: a tmpfs in a mount namespace that a process of the test's own holds open."""

import os
import subprocess

import pytest


class PrivateDisk:
    """`inside` is where maild, started by `command`, finds it; `outside` is where the test does."""

    def __init__(self, directory, megabytes):
        self.inside = str(directory)
        # Root may make a mount namespace by itself, everybody else needs a user namespace around it.
        self.user = [] if os.geteuid() == 0 else ["-r"]
        script = f'mount -t tmpfs -o size={megabytes}m tmpfs "$1" && echo mounted && exec cat'
        self.holder = subprocess.Popen(
            ["unshare", *self.user, "-m", "bash", "-c", script, "bash", self.inside],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        line = self.holder.stdout.readline()
        if line != "mounted\n":
            self.close()
            pytest.fail("this test mounts a tmpfs in a mount namespace of its own. That takes root with CAP_SYS_ADMIN "
                        "(docker run --privileged, or --cap-add SYS_ADMIN with an AppArmor profile that lets mount "
                        f"pass), or user namespaces (sysctl kernel.unprivileged_userns_clone=1). It was told: {line}")

    def command(self, command):
        """Runs `command` where the disk is seen, in the process that is started."""
        user = ["-U", "--preserve-credentials"] if self.user else []
        return ["nsenter", "-t", str(self.holder.pid), *user, "-m", "--", *command]

    @property
    def outside(self):
        return f"/proc/{self.holder.pid}/root{self.inside}"

    def free(self):
        status = os.statvfs(self.outside)
        return status.f_bavail * status.f_frsize

    def fill(self, leave=0):
        """Takes all that is left but `leave` bytes."""
        with open(f"{self.outside}/filler", "ab") as filler:
            try:
                while self.free() > leave:
                    filler.write(b"\0" * min(65536, max(1, self.free() - leave)))
                    filler.flush()
            except OSError:
                pass  # Full.

    def empty(self):
        os.unlink(f"{self.outside}/filler")

    def close(self):
        self.holder.stdin.close()
        self.holder.wait(10)
        self.holder.stdout.close()
