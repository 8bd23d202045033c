# maild, the mail-job daemon
# SPDX-License-Identifier: Apache-2.0
"""mailctl where maild is away or closed to it, and where it is called wrongly."""

import os
import socket
import subprocess

import pytest
from fake_maild import JOB, FakeMaild
from mailctl_stage import NOBODY, SECONDS_MAX, binary, environment, jobs, mailctl, maild  # noqa: F401

VERBS = [
    ["submit", "--to", "a@example.com", "--text", "x"], ["status"], ["scale", "4"], ["list"], ["show", JOB], ["pause"],
    ["resume"], ["relays"], ["check", "hub"], ["reload"], ["retry", JOB], ["cancel", "--all"],
    ["hold", "--queue", "default"], ["release", JOB], ["purge", "--yes", JOB], ["drain"], ["watch"], ["wait", JOB],
]


@pytest.mark.parametrize("verb", VERBS, ids=lambda verb: verb[0])
def test_an_absent_daemon_is_69_and_says_what_to_do(mailctl, tmp_path, verb):
    name = "submit.sock" if verb[0] == "submit" else "control.sock"
    result = mailctl(*verb)
    assert (result.returncode, result.stdout) == (69, b"")
    message = result.stderr.decode()
    assert str(tmp_path / name) in message
    assert "systemctl status maild.socket" in message
    assert f"--{name[:-5]}-socket" in message


def test_a_socket_nobody_listens_on_is_69(mailctl, tmp_path):
    with socket.socket(socket.AF_UNIX) as left_behind:
        left_behind.bind(str(tmp_path / "control.sock"))
    result = mailctl("status")
    assert result.returncode == 69
    assert b"Connection refused" in result.stderr


@pytest.mark.parametrize(("verb", "name", "group"), [
    (VERBS[0], "submit.sock", "group maild "), (["status"], "control.sock", "group maild-admin "),
])
def test_missing_permission_is_77_and_names_the_group(binary, environment, maild, tmp_path, verb, name, group):
    path = tmp_path / name
    path.chmod(0o600 if os.geteuid() == 0 else 0)
    options = {}
    if os.geteuid() == 0:
        for parent in [tmp_path, *tmp_path.parents]:
            if not parent.stat().st_mode & 0o001:
                parent.chmod(parent.stat().st_mode | 0o001)
        # The directory of the binary may be closed to others: it is handed over open.
        descriptor = os.open(binary, os.O_RDONLY)
        options = {"user": NOBODY, "group": NOBODY, "extra_groups": [], "pass_fds": [descriptor]}
        binary = f"/proc/self/fd/{descriptor}"
    result = subprocess.run(
        [binary, *verb], env=environment, stdin=subprocess.DEVNULL, capture_output=True, timeout=SECONDS_MAX,
        **options)
    assert result.returncode == 77
    assert group.encode() in result.stderr


def test_a_path_no_socket_can_have_is_64(mailctl):
    assert mailctl("status", "--control-socket", "/" + "x" * 200).returncode == 64


def test_options_go_before_the_environment(mailctl, maild, tmp_path):
    directory = tmp_path / "other"
    directory.mkdir()
    other = FakeMaild(directory)
    other.replies["Pause"] = {"paused": True, "was_paused": False}
    result = mailctl("pause", "--control-socket", other.control_path)
    mailctl("submit", "--submit-socket", other.submit_path, input=jobs(1))
    other.close()
    assert result.stdout == b"paused\n"
    assert (len(other.lines), maild.lines, maild.calls) == (1, [], [])


@pytest.mark.parametrize("arguments", [
    ["frobnicate"], ["scale"], ["scale", "0"], ["scale", "1025"], ["scale", "many"], ["show"], ["show", "17"],
    ["list", "--state", "lost"], ["list", "--limit", "0"], ["list", "--after", "x"], ["list", "--all", "--limit", "3"],
    ["submit", "--delay", "soon"], ["submit", "--delay", "1h", "--send-at", "2030-01-01T00:00:00Z"],
    ["submit", "--header", "none"], ["submit", "--header", "A: 1", "--header", "a: 2"], ["submit", "--nonsense"],
    ["submit", "--timeout", "soon"],
    ["submit", "file", "--to", "a@example.com"], ["submit", "--text", "-", "--html", "-"],
], ids=" ".join)
def test_wrong_usage_is_64(mailctl, maild, arguments):
    result = mailctl(*arguments)
    assert (result.returncode, result.stdout) == (64, b"")
    assert b"Usage: mailctl" in result.stderr
    assert (maild.lines, maild.calls) == ([], [])
