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


UNITS = ["maild.service", "maild.socket", "maild-control.socket", "maild-metrics.socket", "maild-mta.socket"]


def test_presets_decide_what_is_enabled_and_started(boxes, packages):
    """systemd.preset(5): an administrator who wants nothing to start by itself says so once for all."""
    box = boxes("preset")
    box.write("/etc/systemd/system-preset/00-nothing.preset", "disable *\n")
    for name in ("maild", "maild-mta"):
        box.install(packages[name])
    for unit in UNITS:
        assert box.run("systemctl", "is-enabled", unit, check=False).stdout.strip() == "disabled", unit
        assert box.shown("ActiveState", unit) == "inactive", unit


def test_systemd_finds_nothing_wrong_with_what_is_installed(debian):
    instances = ["maild@x.service", "maild@x.socket", "maild-control@x.socket", "maild-metrics@x.socket"]
    verdict = debian.run("systemd-analyze", "verify", "--man=no", *UNITS, "maild-unit-failed@x.service", *instances)
    assert verdict.stdout + verdict.stderr == ""
    for unit in ("maild.service", "maild@x.service", "maild-unit-failed@x.service"):
        debian.run("systemd-analyze", "security", "--threshold=12", "--no-pager", unit)


def test_bash_completes(debian):
    script = """source /usr/share/bash-completion/completions/mailctl; complete -p mailctl > /dev/null
        COMP_WORDS=(mailctl sta); COMP_CWORD=1; COMP_LINE="mailctl sta"; COMP_POINT=11; _mailctl mailctl sta mailctl
        echo "${COMPREPLY[@]}" """
    assert debian.output("bash", "-ec", script).split() == ["status"]
