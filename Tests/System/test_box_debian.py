# maild, the mail-job daemon
# SPDX-License-Identifier: Apache-2.0
"""Debian's own judges of a package that is installed: autopkgtest runs its tests, piuparts installs and purges it."""

import shutil
import subprocess
import tempfile

import pytest
from box import SCRIPTS, checked, rootfs
from maild import ROOT


@pytest.fixture(scope="module")
def debian(boxes, packages):
    """A box with both packages."""
    box = boxes("debian")
    for name in ("maild", "maild-mta"):
        box.install(packages[name])
    return box


def test_autopkgtest_passes(debian, tmp_path):
    """In a box that runs, so that units do too. The packages are there already: autopkgtest would need apt-utils."""
    shutil.copytree(ROOT / "packaging/debian/tests", tmp_path / "debian/tests")
    done = subprocess.run(
        ["autopkgtest", "--no-built-binaries", f"--summary-file={tmp_path}/summary", tmp_path, "--",
         SCRIPTS / "autopkgtest-virt-box"],
        env=debian.environment, capture_output=True, text=True, timeout=300)
    verdicts = dict(line.split()[:2] for line in (tmp_path / "summary").read_text().splitlines())
    assert (done.returncode, verdicts) == (0, {"smoke": "PASS", "sendmail": "PASS"}), done.stdout + done.stderr


@pytest.fixture
def room():
    """A directory in memory, where there is enough: piuparts copies the whole system, and deletes it."""
    roomy = shutil.disk_usage("/dev/shm").free > 2 << 30
    with tempfile.TemporaryDirectory(dir="/dev/shm" if roomy else "/var/tmp") as directory:
        yield directory


def mirror():
    """Where this host's apt has Debian from."""
    return checked("apt-get", "indextargets", "--format", "$(REPO_URI)", "Created-By: Packages",
                   "Codename: bookworm").split()[0]


# Of maild alone it is also tried whether it can be installed again after a purge; piuparts cannot do that with two.
@pytest.mark.parametrize(("names", "again"), [
    (["maild"], "--install-purge-install"), (["maild", "maild-mta"], "--install-remove-install")], ids=str)
def test_piuparts_finds_nothing_left_behind(boxes, packages, room, names, again):
    done = subprocess.run(
        ["piuparts", "--existing-chroot", rootfs(), "--distribution", "bookworm", "--mirror", mirror(),
         "--no-eatmydata", "--no-upgrade-test", "--tmpdir", room, again,
         *(packages[name] for name in names)], capture_output=True, text=True, timeout=600)
    assert done.returncode == 0 and "PASS: All tests" in done.stdout, done.stdout[-10_000:] + done.stderr
