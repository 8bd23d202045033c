# maild, the mail-job daemon
# SPDX-License-Identifier: Apache-2.0
"""The installed service through a life: started by the first line, watched, killed, restarted, crashed and booted."""

import json
import re
import signal

import pytest
from box import CONFIGURATION, SOCKETS
from steady import Steady
from submission import job
from waiting import until


def test_the_first_line_starts_the_service(box):
    box.systemctl("stop", "maild.service", *SOCKETS)
    box.systemctl("start", *SOCKETS)
    assert box.shown("ActiveState") == "inactive"
    answer = json.loads(box.output("mailctl", "submit", "--json", "--from", "a@example.org", "--to", "b@example.com",
                                   "--text", "wake up"))
    assert answer["state"] == "ready"
    assert box.shown("ActiveState") == "active"
    until(lambda: any("wake up" in text for text in box.mail()), "the job is delivered")


def test_the_status_text_is_current(box):
    box.run("mailctl", "pause")
    with box.submission() as client:
        client.send(job(), job(delay=3600)).answers(2)
    until(lambda: re.fullmatch(r"8 workers, 0 running, 1 ready, oldest \d+ s, 1 scheduled, 0 failed, paused",
                               box.shown("StatusText")), f"the status shows the queue: {box.shown('StatusText')}")


def test_workers_are_scaled_and_stay_so(box):
    assert box.output("mailctl", "scale", "3") == "3 workers, 8 before"
    box.systemctl("restart", "maild")
    assert box.status()["workers"] == 3
    assert box.shown("StatusText").startswith("3 workers")


def test_a_reload_takes_a_good_file_and_refuses_a_bad_one(box):
    good = box.path(CONFIGURATION).read_text()
    pid = box.main_pid()
    box.write(CONFIGURATION, good.replace("#workers = 8", "workers = 5"))
    box.systemctl("reload", "maild")
    assert box.status()["workers"] == 5
    box.write(CONFIGURATION, good.replace("#workers = 8", "wrokers = 6"))
    place = box.journal_place()
    refused = box.systemctl("reload", "maild", check=False)
    assert refused.returncode != 0
    line = next(number for number, text in enumerate(good.split("\n"), 1) if text == "#workers = 8")
    box.wait_for_journal(f"{CONFIGURATION}:{line}: wrokers: is unknown", place)
    assert (box.status()["workers"], box.main_pid(), box.shown("ActiveState")) == (5, pid, "active")


def starts(box):
    """When the service was started, in seconds of the box's clock."""
    lines = box.output("journalctl", "-u", "maild.service", "-o", "json", "MESSAGE_ID=7d4958e842da4a758f6c1cdc7b36dcc5")
    return [int(json.loads(line)["__MONOTONIC_TIMESTAMP"]) / 1e6 for line in lines.splitlines()]


def test_a_bad_file_does_not_make_it_spin_and_a_mended_one_answers_who_waited(box):
    good = box.path(CONFIGURATION).read_text()
    box.systemctl("stop", "maild.service")
    box.write(CONFIGURATION, "workers = 0\n")
    before, place = len(starts(box)), box.journal_place()
    with box.submission() as client:
        client.send(job(ref="patient"))
        until(lambda: len(starts(box)) >= before + 3, "it was started three times")
        first, *_, last = starts(box)[before:before + 3]
        assert last - first > 3.5, "a client that waits makes it spin"
        assert box.shown("ActiveState", "maild.socket") == "active"
        box.wait_for_journal(f"{CONFIGURATION}:1: workers: must be from 1 to 1024", place)
        box.write(CONFIGURATION, good)
        assert client.answer()["ref"] == "patient"


def test_a_start_by_hand_with_a_bad_file_fails_with_78_and_is_not_tried_again(box):
    box.write(CONFIGURATION, "workers = 0\n")
    assert box.systemctl("restart", "maild.service", check=False).returncode != 0
    assert (box.shown("ActiveState"), box.shown("ExecMainStatus"), box.shown("NRestarts")) == ("failed", "78", "0")


def test_only_maild_speaks_in_its_journal(box):
    """Libraries that complain on standard error would have no level, no fields and no end."""
    box.write(CONFIGURATION, '[relay.nowhere]\nhost = "localhost"\nport = 9\ntls = "off"\n')
    box.systemctl("restart", "maild")
    with box.submission() as client:
        client.ask(job())
    until(lambda: box.control.call("Relays")["relays"][0]["breaker"] != "closed", "the relay was tried")
    box.systemctl("restart", "maild")
    lines = box.output("journalctl", "-u", "maild.service", "-o", "json", "_COMM=maild", "-n", "100").splitlines()
    assert len(lines) > 5
    assert [json.loads(line)["MESSAGE"] for line in lines if "MESSAGE_ID" not in json.loads(line)] == []


def test_a_stopped_process_is_found_out_by_the_watchdog(box):
    box.drop_in("[Service]\nWatchdogSec=2\n")
    box.systemctl("restart", "maild")
    place = box.journal_place()
    with Steady(box) as steady:
        steady.wait_for_more(3)
        box.signal(signal.SIGSTOP)
        until(lambda: box.shown("NRestarts") == "1", "systemd has restarted it", seconds=40)
        box.wait_until_active()
        steady.wait_for_more(3)
    assert not steady.refused, steady.refused[:5]
    box.wait_for_journal("Watchdog timeout", place)
    steady.wait_until_delivered()


def test_killed_under_load_it_loses_and_refuses_nothing(box):
    box.drop_in("[Service]\nRestartSec=0\n")
    with Steady(box) as one, Steady(box, "other") as other:
        for round in range(1, 4):
            one.wait_for_more(20)
            box.signal(signal.SIGKILL)
            until(lambda: box.shown("NRestarts") == str(round), f"systemd has restarted it {round} times")
            box.wait_until_active()
        other.wait_for_more(20)
    assert not one.refused and not other.refused, (one.refused + other.refused)[:5]
    one.wait_until_delivered()
    other.wait_until_delivered()


def test_a_crash_loop_leaves_the_socket_open(box):
    box.drop_in("[Service]\nRestartSec=0\nExecStart=\nExecStart=/bin/false\n")
    box.systemctl("restart", "maild", check=False)
    with box.submission() as client:
        client.send(job(subject="patient"))
        until(lambda: int(box.shown("NRestarts")) > 30, "it has crashed often")
        assert box.shown("ActiveState", "maild.socket") == "active"
        box.run("rm", "-r", "/etc/systemd/system/maild.service.d")
        box.systemctl("daemon-reload")
        assert "job" in client.answer(), "who waited in the socket is answered by the first good start"


def test_clients_wait_through_restarts(box):
    with Steady(box) as one, Steady(box, "other") as other:
        for _ in range(4):
            one.wait_for_more(10)
            box.systemctl("restart", "maild")
        other.wait_for_more(10)
    assert not one.refused and not other.refused, (one.refused + other.refused)[:5]
    one.wait_until_delivered()


def test_what_runs_too_long_at_a_stop_is_given_back(box):
    """Nobody answers at the relay's address: the job waits, and the stop does not wait for it."""
    box.write(CONFIGURATION, '[relay.nowhere]\nhost = "127.0.0.1"\nport = 9\n')
    box.systemctl("reload", "maild")
    with box.submission() as client:
        identity = client.ask(job())["job"]
    box.systemctl("stop", "maild.service")
    assert box.shown("Result") == "success"
    box.systemctl("start", "maild.service")
    assert box.control.call("Show", id=identity)["job"]["state"] in ("ready", "scheduled")


@pytest.mark.parametrize("how", ["--crash", "reboot"])
def test_the_queue_survives_the_machine(box, how):
    box.run("mailctl", "pause")
    with box.submission() as client:
        answers = client.send(*(job(subject=f"before {number}") for number in range(50))).answers(50)
    assert all("job" in answer for answer in answers)
    box.stop(*(["--crash"] if how == "--crash" else []))
    box.boot()
    box.wait_until_active()  # Of itself: nobody has connected.
    assert box.status()["counts"]["ready"] == 50
    box.run("mailctl", "resume")
    until(lambda: len(box.mail()) == 50, "what had waited is delivered")
