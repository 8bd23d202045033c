# maild, the mail-job daemon
# SPDX-License-Identifier: Apache-2.0
"""mailctl on terminals and in pipes."""

import json
import os
import pty
import re
import subprocess
import threading

import pytest
from fake_maild import JOB, FakeMaild
from mailctl_stage import (  # noqa: F401
    SECONDS_MAX, SHOWN, STATUS, SUMMARY, binary, environment, jobs, mailctl, maild, on_terminal, paged,
)

HOSTILE = "a\x1b[2Jb\x07c\x9bd\u202ee\nf"


def test_control_characters_are_never_shown(mailctl, maild, on_terminal):
    maild.replies["Show"] = SHOWN | {"subject": HOSTILE, "job": SUMMARY | {"ref": HOSTILE, "from": HOSTILE}}
    maild.replies["List"] = {"jobs": [SUMMARY | {"last_reply": HOSTILE, "to": [HOSTILE]}]}
    maild.answer = lambda number, line: json.dumps(
        {"job": JOB, "state": "ready", "ref": HOSTILE} if number == 1 else {"error": HOSTILE, "message": HOSTILE},
        ensure_ascii=False).encode()
    for result in (mailctl("show", JOB), mailctl("list"), mailctl("submit", input=jobs(2))):
        text = (result.stdout + result.stderr).decode()
        assert not set(text) & set("\x1b\x07\x9b\u202e"), text
        assert r"a\u{1B}[2Jb\u{7}c\u{9B}d\u{202E}e\nf" in text
    status, text = on_terminal("show", JOB, "--json")
    assert status == 0
    assert not set(text) & set("\x1b\x07\x9b\u202e")
    assert json.loads(text)["subject"] == HOSTILE


def test_colours_only_on_a_terminal_and_without_no_color(mailctl, maild, on_terminal):
    maild.replies["Status"] = STATUS
    assert b"\x1b" not in mailctl("status").stdout
    assert "\x1b[1m" in on_terminal("status")[1]
    assert "\x1b" not in on_terminal("status", NO_COLOR="1")[1]
    assert "\x1b" not in on_terminal("status", TERM="dumb")[1]
    assert "\x1b[1m" in on_terminal("status", NO_COLOR="")[1]


def test_the_list_fits_the_terminal(maild, on_terminal):
    maild.replies["List"] = {"jobs": [SUMMARY | {"last_reply": "451 " + "zu lang " * 40}]}
    status, text = on_terminal("list", NO_COLOR="1")
    heading, row = text.splitlines()
    assert status == 0
    assert len(row) == 80 and row.endswith("…")


def test_progress_is_drawn_on_a_terminal_at_most_ten_times_a_second(binary, environment, maild):
    release = threading.Event()

    def answer(number, line):
        if number == 5:
            release.wait(SECONDS_MAX)
        return FakeMaild.answer_as_documented(number, line)

    maild.answer = answer
    master, slave = pty.openpty()
    process = subprocess.Popen(
        [binary, "submit"], env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=slave)
    os.close(slave)
    process.stdin.write(jobs(9))
    process.stdin.close()
    shown = b""
    while len(drawn := re.findall(rb"4 taken in ([\d.]+)(m?s) ", shown)) < 3:  # again although nothing moves
        shown += os.read(master, 4096)
    seconds = float(drawn[2][0]) / (1000 if drawn[2][1] == b"ms" else 1)
    release.set()
    answers = process.stdout.read()
    assert process.wait(SECONDS_MAX) == 0
    assert len(answers.splitlines()) == 9
    assert seconds >= 0.48, "three drawings within less than 0.3 s of patience and twice 0.1 s"
    os.close(master)


@pytest.mark.parametrize(("arguments", "status"), [(["list", "--all"], 0), (["submit", "--json"], 74)])
def test_a_closed_pipe_ends_it_quietly(binary, environment, maild, arguments, status):
    maild.replies["List"] = paged(20000)
    process = subprocess.Popen(
        [binary, *arguments], env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    process.stdout.close()
    try:
        process.stdin.write(jobs(5000))
        process.stdin.close()
    except BrokenPipeError:
        pass
    process.stdin = None
    assert process.stderr.read() == b""
    assert process.wait(SECONDS_MAX) == status


def test_help_names_the_verbs_and_the_exit_statuses(mailctl):
    text = mailctl("--help").stdout.decode()
    for word in ("submit", "status", "scale", "list", "show", "relays", "pause", "resume", "reload", "version", "69",
                 "75"):
        assert word in text
    assert "--send-at" in mailctl("submit", "--help").stdout.decode()
