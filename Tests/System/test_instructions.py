# maild, the mail-job daemon
# SPDX-License-Identifier: Apache-2.0
"""What a job costs, in instructions: they do not depend on how busy the machine is."""

import subprocess

from maild import ROOT

PROGRAMS = ROOT / ".build/bench/bin"


def run(*command):
    return subprocess.run([str(word) for word in command], cwd=ROOT, capture_output=True, text=True)


def test_accepting_and_delivering_cost_no_more_instructions_than_allowed(tmp_path):
    made = run("make", "-C", "Benchmarks", "own")
    assert made.returncode == 0, made.stderr
    linked = run("scripts/link-static", "maild", PROGRAMS / "maild"), \
        run("scripts/link-static", "mailctl", PROGRAMS / "mailctl")
    assert all(each.returncode == 0 for each in linked), linked
    counted = run("Benchmarks/instructions", "--check", "--directory", tmp_path / "counted")
    assert counted.returncode == 0, counted.stdout + counted.stderr
