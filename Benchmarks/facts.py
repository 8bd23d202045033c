# maild, the mail-job daemon
# SPDX-License-Identifier: Apache-2.0
"""Where and with what a measurement was made: it stands above every table."""

import os
import platform
import re
from datetime import datetime, timezone
from pathlib import Path

from processes import MAILD, PROGRAMS, Failure, output_of, version_of


def mount_of(directory):
    """(type, options) of the file system that holds the directory."""
    best = ("", "?", "?")
    for line in Path("/proc/self/mounts").read_text().splitlines():
        _, place, kind, options = line.split()[:4]
        inside = str(directory) == place or str(directory).startswith(place.rstrip("/") + "/")
        if inside and len(place) >= len(best[0]):
            best = (place, kind, options)
    return best[1:]


def machine(directory, options):
    """Facts, one a line."""
    processor = re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text())
    kind, mount_options = mount_of(directory.resolve())
    commit = output_of("git", "rev-parse", "--short", "HEAD")
    changed = " and changes" if output_of("git", "status", "--porcelain", "--", "Sources", "Package.swift") else ""
    return [
        f"date: {datetime.now(timezone.utc):%Y-%m-%d %H:%M} UTC, {options.runs} rounds, sizes × {options.scale:g}",
        f"maild: {version_of(MAILD, '--version')} at commit {commit}{changed}",
        f"built by: {version_of('swift', '--version')}",
        f"machine: {os.cpu_count()} × {processor.group(1) if processor else platform.machine()}, "
        f"Linux {platform.release()}, load {os.getloadavg()[0]:.1f} before the start",
        f"disk: {kind} ({mount_options}); SQLite {sqlite_version()}",
        "load generator, server and sink share the machine; 300-byte jobs, 1 KB messages by SMTP and sendmail; "
        "median (least–most) of the rounds",
    ]


def sqlite_version():
    return version_of("dpkg-query", "-W", "-f", "${Version}", "libsqlite3-0")


def check_disk(directory):
    """Also that what measures has been built."""
    names = ("submitload", "sink", "sqlitebase", "smtpload", "spawnload", "beanload", "httpload", "rabbitload", "demo")
    for program in [MAILD, *(PROGRAMS / name for name in names)]:
        if not program.exists():
            raise Failure(f"{program} is missing; `make bench` builds it")
    directory.mkdir(parents=True, exist_ok=True)
    if mount_of(directory.resolve())[0] in ("tmpfs", "ramfs"):
        raise Failure(f"{directory} is in memory; name a directory on a disk with --directory")
