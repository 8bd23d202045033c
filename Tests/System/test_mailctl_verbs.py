# maild, the mail-job daemon
# SPDX-License-Identifier: Apache-2.0
"""What the operators' verbs ask and show, against a stand-in for maild."""

import json
import re

import pytest
from fake_maild import JOB, job_id
from mailctl_stage import SHOWN, STATUS, SUMMARY, binary, environment, mailctl, maild, paged  # noqa: F401


def test_status_for_people(mailctl, maild):
    maild.replies["Status"] = STATUS
    result = mailctl("status")
    text = result.stdout.decode()
    assert result.returncode == 0
    assert "9.8.7, serving, paused, pid 4242, up " in text
    assert "2 of 8 running (4 configured)" in text
    assert "12 ready (oldest 1m15s), 3 scheduled, 2 running, 1 held, 5 failed; 1.5 MiB" in text
    assert "1234 accepted, 1200 delivered, 7 failed" in text
    assert re.search(rf"^ +1  running +250ms  {JOB}  email$", text, re.M)
    assert re.search(r"^ +2  idle +1m1s$", text, re.M)
    assert re.search(r"^hub +smtp +192\.0\.2\.1:25 +closed +3 +1 +0 +1200 +20 +7$", text, re.M)


def test_relays_for_people_say_who_is_away_who_is_spared_and_why(mailctl, maild):
    [hub] = STATUS["relays"]
    maild.replies["Relays"] = {"relays": [
        hub, hub | {"name": "far", "breaker": "open", "cause": "451 4.4.1 refused\x1b[2J", "waiting": 9,
                    "next_probe_at": "2999-01-01T00:00:00Z"},
        hub | {"name": "asked", "breaker": "half-open", "cause": "554 no"},
        hub | {"name": "tired", "concurrency_max": 0.25}, hub | {"name": "weary", "concurrency_max": 3.5}]}
    result = mailctl("relays")
    text = result.stdout.decode()
    assert (result.returncode, result.stderr) == (0, b"")
    assert re.search(r"^RELAY +BY +ADDRESS +BREAKER +OPEN +IDLE +WAITING +DELIVERED +DEFERRED +REJECTED$", text, re.M)
    assert re.search(r"^far +smtp +192\.0\.2\.1:25 +open +3 +1 +9 +1200 +20 +7$", text, re.M)
    assert re.search(r"^far is away, next probe in [0-9]+d: 451 4\.4\.1 refused\\u\{1B\}\[2J$", text, re.M)
    assert "\nasked is away, a probe is out: 554 no\n" in text
    assert "\ntired is spared, because it asked for it: a mail each 4.0s\n" in text
    assert "\nweary is spared, because it asked for it: 3 at a time\n" in text and "\nhub is" not in text


CHECKED = {
    "name": "hub", "transport": "smtp", "address": "192.0.2.1:25", "peer": "192.0.2.1:25", "ok": True, "tls": "TLSv1.3",
    "extensions": ["PIPELINING"], "findings": [{"step": "connect", "ok": True, "text": "192.0.2.1:25"}]}


def test_check_for_people_says_what_each_step_came_to(mailctl, maild):
    failed = {"step": "login", "ok": False, "text": "535 5.7.8 no\x1b[2J"}
    maild.replies["Check"] = CHECKED | {"ok": False, "findings": [*CHECKED["findings"], failed]}
    result = mailctl("check", "hub")
    assert (result.returncode, result.stderr) == (77, b"")
    assert result.stdout.decode() == (
        "hub, smtp at 192.0.2.1:25\nconnect   ok      192.0.2.1:25\nlogin     failed  535 5.7.8 no\\u{1B}[2J\n"
        "offers            PIPELINING\nhub takes no mail\n")
    assert maild.calls[-1]["parameters"] == {"relay": "hub"}


def test_many_idle_workers_are_only_counted(mailctl, maild):
    idle = [{"number": n, "state": "idle", "seconds": 1.0} for n in range(2, 1025)]
    maild.replies["Status"] = STATUS | {"worker_list": STATUS["worker_list"][:1] + idle}
    text = mailctl("status").stdout.decode()
    assert "and 1023 idle\n" in text
    assert JOB in text and len(text.splitlines()) < 20


FLEET = {
    "node": "a", "format": 1, "live": 1, "expired": 1, "workers": 8, "running": 3, "waiting": 12, "held": 0,
    "failed": 1, "nodes": [
        {"name": "a", "state": "live", "version": "0.1.0", "started_at": "2026-11-27T00:00:00.000Z",
         "renewed_at": "2026-11-28T00:00:00.000Z", "claimed": 7, "workers": 8, "running": 3,
         "metrics": "10.0.0.1:9125"},
        {"name": "b\x1b[2J", "state": "expired", "version": "0.1.0", "started_at": "2026-11-27T00:00:00.000Z",
         "renewed_at": "2026-11-28T00:00:00.000Z", "claimed": 0}]}


def test_the_fleet_for_people(mailctl, maild):
    maild.replies["Fleet"] = FLEET
    lines = mailctl("status", "--fleet").stdout.decode().splitlines()
    assert lines[:4] == ["Fleet    1 live, 1 expired; asked: a", "Workers  3 of 8 running",
                         "Queue    12 waiting, 0 held, 1 failed", ""]
    assert lines[4].split() == [
        "NODE", "STATE", "RENEWED", "UP", "WORKERS", "RUNNING", "CLAIMED", "VERSION", "METRICS"]
    assert lines[5].split()[:2] == ["a", "live"] and lines[5].split()[-5:] == ["8", "3", "7", "0.1.0", "10.0.0.1:9125"]
    assert "\x1b" not in lines[6] and lines[6].split()[-2:] == ["0", "0.1.0"]


@pytest.mark.parametrize(("verb", "method", "reply"), [
    (["status"], "Status", STATUS), (["show", JOB], "Show", SHOWN),
    (["scale", "8"], "Scale", {"workers": 8, "previous": 4}),
    (["status", "--fleet"], "Fleet", FLEET),
    (["relays"], "Relays", {"relays": STATUS["relays"]}), (["check", "hub"], "Check", CHECKED),
    (["pause"], "Pause", {"paused": True, "was_paused": False}),
    (["resume"], "Resume", {"paused": False, "was_paused": True}),
    (["reload"], "Reload", {"changed": ["workers"], "restart_needed": []}),
], ids=lambda value: value if isinstance(value, str) else "")
def test_json_is_the_daemons_reply_on_one_line(mailctl, maild, verb, method, reply):
    maild.replies[method] = reply
    result = mailctl(*verb, "--json")
    assert (result.returncode, result.stderr, result.stdout.count(b"\n")) == (0, b"", 1)
    assert json.loads(result.stdout) == reply
    assert [call["method"] for call in maild.calls] == [f"io.maild.Control.{method}"]


@pytest.mark.parametrize(("verb", "method", "reply", "parameters", "text"), [
    (["scale", "8"], "Scale", {"workers": 8, "previous": 1}, {"workers": 8}, "8 workers, 1 before\n"),
    (["scale", "default"], "Scale", {"workers": 1, "previous": 8}, {"workers": 0}, "1 worker, 8 before\n"),
    (["pause"], "Pause", {"paused": True, "was_paused": False}, {}, "paused\n"),
    (["pause"], "Pause", {"paused": True, "was_paused": True}, {}, "paused already\n"),
    (["resume"], "Resume", {"paused": False, "was_paused": True}, {}, "resumed\n"),
    (["resume"], "Resume", {"paused": False, "was_paused": False}, {}, "was not paused\n"),
    (["reload"], "Reload", {"changed": [], "restart_needed": []}, {}, "nothing changed\n"),
    (["reload"], "Reload", {"changed": ["workers", "relay"], "restart_needed": ["spool.path"]}, {},
     "changed: workers, relay\nwaits for a restart: spool.path\n"),
])
def test_small_verbs_for_people(mailctl, maild, verb, method, reply, parameters, text):
    maild.replies[method] = reply
    result = mailctl(*verb)
    assert (result.returncode, result.stdout.decode(), result.stderr) == (0, text, b"")
    assert maild.calls[0]["parameters"] == parameters


@pytest.mark.parametrize(("error", "parameters", "status", "says"), [
    ("io.maild.Control.NoSuchJob", {"id": JOB}, 65, JOB),
    ("io.maild.Control.ReloadFailed", {"message": "maild.toml:3: workers: no"}, 78, "maild.toml:3: workers: no"),
    ("io.maild.Control.SpoolFailed", {"message": "disk I/O error"}, 74, "disk I/O error"),
    ("io.maild.Control.NotShared", {}, 69, "has its spool for itself"),
    ("org.varlink.service.InvalidParameter", {"parameter": "workers"}, 64, "workers"),
    ("org.varlink.service.PermissionDenied", {}, 77, "maild-admin"),
    ("org.varlink.service.MethodNotFound", {"method": "io.maild.Control.Show"}, 76, "MethodNotFound"),
])
def test_each_varlink_error_has_its_exit_status(mailctl, maild, error, parameters, status, says):
    maild.replies["Show"] = lambda _: {"error": error, "parameters": parameters}
    result = mailctl("show", JOB)
    assert (result.returncode, result.stdout) == (status, b"")
    assert says in result.stderr.decode()


def test_a_control_connection_that_closes_is_75(mailctl, maild):
    maild.replies["Status"] = lambda _: None
    assert mailctl("status").returncode == 75


def test_list_for_people(mailctl, maild):
    maild.replies["List"] = {"jobs": [SUMMARY]}
    heading, row = mailctl("list", "--state", "scheduled", "--after", JOB).stdout.decode().splitlines()
    assert heading.split() == ["ID", "STATE", "AGE", "TRIES", "FROM", "TO", "LAST", "REPLY"]
    assert re.fullmatch(
        rf"{JOB}  scheduled +\S+ +1  app@example\.org  ann@example\.com \+1  451 4\.7\.1 Greylisted", row)
    assert maild.calls[0]["parameters"] == {
        "limit": 100, "filter": {"states": ["scheduled"]}, "after": JOB}


def test_list_says_when_more_follow(mailctl, maild):
    maild.replies["List"] = paged(150)
    result = mailctl("list")
    assert len(result.stdout.splitlines()) == 101
    assert f"--after {job_id(100)}".encode() in result.stderr


@pytest.mark.parametrize(("arguments", "expected"), [(["--all"], 2500), (["--limit", "1700"], 1700)])
def test_list_pages_through(mailctl, maild, arguments, expected):
    maild.replies["List"] = paged(2500)
    result = mailctl("list", "--json", *arguments)
    got = [json.loads(line)["id"] for line in result.stdout.splitlines()]
    assert got == [job_id(n) for n in range(1, expected + 1)]
    assert result.stderr == b""


def test_an_empty_list_is_told_on_standard_error(mailctl, maild):
    maild.replies["List"] = {"jobs": []}
    result = mailctl("list")
    assert (result.returncode, result.stdout, result.stderr) == (0, b"", b"no jobs\n")


def test_show_tells_the_story_in_order(mailctl, maild):
    maild.replies["Show"] = SHOWN
    text = mailctl("show", JOB).stdout.decode()
    story = [
        JOB, "scheduled", "order-17", "app@example.org", "ann@example.com", "bob@example.com", "Your order", "2.0 KiB",
        "accepted from uid 1000", "attempt 1 over hub (192.0.2.1:25), took 123ms",
        "delivered  ann@example.com  250 2.0.0 Ok", "deferred   bob@example.com  451 4.7.1 Greylisted",
        "2026-01-02T03:09:05Z", "due", "2026-01-07T03:04:05Z", "expires",
    ]
    place = 0
    for part in story:
        assert part in text[place:], f"{part!r} is missing or too early in:\n{text}"
        place = text.index(part, place) + len(part)


def test_version_with_and_without_a_daemon(mailctl, maild):
    own = mailctl("--version").stdout.decode().strip()
    maild.replies["GetInfo"] = {
        "vendor": "", "product": "maild", "version": "9.8.7", "url": "", "interfaces": ["io.maild.Control"]}
    assert mailctl("version").stdout.decode() == f"mailctl {own}\nmaild   9.8.7\n"
    assert json.loads(mailctl("version", "--json").stdout) == {"mailctl": own, "maild": "9.8.7"}
    away = mailctl("version", "--control-socket", "/nowhere.sock")
    assert away.returncode == 0
    assert b"maild   not reached: no maild at /nowhere.sock" in away.stdout


def test_wait_looks_at_all_in_turn_until_each_end_is_written(mailctl, maild):
    ids = [job_id(n) for n in (1, 2, 3)]
    looks = dict.fromkeys(ids, 0)

    def show(parameters):
        looks[parameters["id"]] += 1
        # One look each before the events; no end is written before all were looked at twice after them.
        state = "delivered" if min(looks.values()) >= 3 else "running"
        return {"parameters": {"job": {"id": parameters["id"], "state": state}}}

    maild.replies["Show"] = show
    maild.replies["Watch"] = lambda _: [
        {"parameters": {"events": [], "missed": missed}, "continues": True} for missed in (0, 4)]
    result = mailctl("wait", "--timeout", "30", *ids)
    assert result.returncode == 0, result.stderr
    assert sorted(result.stdout.decode().split("\n")[:-1]) == [f"{each} delivered" for each in ids]
