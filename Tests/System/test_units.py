# maild, the mail-job daemon
# SPDX-License-Identifier: Apache-2.0
"""The systemd units, as far as they can be judged without a running systemd."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

UNITS = Path(__file__).resolve().parents[2] / "systemd"
EXPOSURE_MAX = "12"  # tenths


@pytest.fixture
def units(tmp_path):
    """The units in a directory of their own, with programs that exist here in place of the installed ones."""
    for unit in [*UNITS.rglob("*.service"), *UNITS.rglob("*.socket")]:
        text = unit.read_text()
        for program in ["/usr/sbin/maild-feed", "/usr/sbin/maild", "/usr/bin/mailctl"]:
            text = text.replace(f"={program}", f"={shutil.which('true')}")
        (tmp_path / unit.name).write_text(text)
    return tmp_path


def analyze(directory, *words):
    command = ["systemd-analyze", *words]
    return subprocess.run(command, cwd=directory, capture_output=True, text=True, timeout=60)


def test_systemd_finds_nothing_wrong_with_the_units(units):
    names = sorted(f"./{unit.name}" for unit in units.iterdir())
    assert len(names) >= 5
    verdict = analyze(units, "verify", "--man=no", *names)
    assert (verdict.returncode, verdict.stdout + verdict.stderr) == (0, "")


@pytest.mark.parametrize("unit", sorted(path.name for path in UNITS.rglob("*.service")))
def test_the_service_is_locked_in(units, unit):
    verdict = analyze(units, "security", "--offline=yes", f"--threshold={EXPOSURE_MAX}", f"./{unit}")
    assert verdict.returncode == 0, verdict.stdout


def test_an_instance_is_locked_in_as_the_service_is():
    """Everything but for names is the same, line by line."""
    def lines(unit):
        text = (UNITS / unit).read_text()
        return [line for line in text.partition("[Unit]")[2].splitlines() if not re.search("%i|maild|mailctl", line)]
    service, instance = lines("maild.service"), lines("maild@.service")
    assert len(service) > 50
    assert instance == [line for line in service if line != "Description=Mail-job daemon"]
    for kind in ("maild", "maild-control", "maild-metrics"):
        text = (UNITS / f"{kind}@.socket").read_text()
        assert "Service=maild@%i.service\n" in text and "ListenStream=/run/maild/%i/" in text


def test_the_user_and_both_groups_are_made(tmp_path):
    (tmp_path / "etc").mkdir()
    done = subprocess.run(["systemd-sysusers", f"--root={tmp_path}", UNITS / "maild.sysusers"], capture_output=True)
    assert done.returncode == 0, done.stderr
    groups = [line.split(":")[0] for line in (tmp_path / "etc/group").read_text().splitlines()]
    assert sorted(groups) == ["maild", "maild-admin"]
    assert (tmp_path / "etc/passwd").read_text().startswith("maild:")
