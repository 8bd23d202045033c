# maild, the mail-job daemon
# SPDX-License-Identifier: Apache-2.0
"""Mail servers that cannot be installed beside Postfix: unpacked by scripts/install-deps, run in roots of their own."""

import os
import shutil
import subprocess

from processes import ROOT, Failure

TREE = ROOT / ".servers/bench"
PASSWD = "root:x:0:0::/:/bin/sh\nmail:x:8:8::/:/bin/sh\nDebian-exim:x:65534:65534::/spool:/bin/false\n"
GROUP = "root:x:0:\nmail:x:8:\nDebian-exim:x:65534:\n"


def make_root(directory):
    """The unpacked packages by hard links, with what a program looks for in /etc and /dev."""
    if os.geteuid() != 0:
        raise Failure("Exim and nullmailer can be measured by root alone: they work as several users")
    if not TREE.exists():
        raise Failure(f"{TREE} is missing; `make bench` makes it")
    directory.mkdir()
    directory.chmod(0o755)
    subprocess.run(["cp", "-al", *TREE.iterdir(), directory], check=True)
    write(directory, "etc/passwd", PASSWD)
    write(directory, "etc/group", GROUP)
    write(directory, "etc/hosts", "127.0.0.1 localhost bench.localhost\n")
    for name in ("dev", "run", "tmp"):
        (directory / name).mkdir(exist_ok=True)
    subprocess.run(["mknod", "-m", "666", directory / "dev/null", "c", "1", "3"], check=True)
    return directory


def write(root, name, text):
    """Unlinked first: the tree's own file has the same inode."""
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    path.write_text(text)


def remove_root(directory):
    shutil.rmtree(directory, ignore_errors=True)


def unpacked_version(package):
    """As scripts/install-deps noted it: NAME_VERSION_ARCHITECTURE.deb a line."""
    names = (ROOT / ".servers/bench.packages").read_text().split()
    found = [name.split("_")[1].replace("%3a", ":") for name in names if name.startswith(f"{package}_")]
    return found[0] if found else "of unknown version"
