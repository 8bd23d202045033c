# maild, the mail-job daemon
# SPDX-License-Identifier: Apache-2.0
"""mailctl against a stand-in for maild: what it sends, what it shows, and with what it exits."""

import base64
import fcntl
import json
import os
import pathlib
import pty
import re
import socket
import struct
import subprocess
import termios
import threading

import pytest

from fake_maild import JOB, FakeMaild, job_id

REPOSITORY = pathlib.Path(__file__).resolve().parents[2]
NOBODY = 65534
SECONDS_MAX = 60

SUMMARY = {
    "id": JOB, "state": "scheduled", "kind": "email", "priority": 4, "accepted_at": "2026-01-02T03:04:05.678Z",
    "due_at": "2026-01-02T03:09:05Z", "attempts": 1, "uid": 1000, "bytes": 2048, "from": "app@example.org",
    "to": ["ann@example.com", "bob@example.com"], "ref": "order-17", "last_reply": "451 4.7.1 Greylisted",
}
STATUS = {
    "version": "9.8.7", "pid": 4242, "started_at": "2026-01-02T03:04:05Z", "state": "serving", "paused": True,
    "workers": 8, "workers_configured": 4,
    "counts": {"ready": 12, "scheduled": 3, "running": 2, "held": 1, "failed": 5},
    "oldest_ready_seconds": 75.0, "accepted_total": 1234, "delivered_total": 1200, "failed_total": 7,
    "spool_bytes": 1572864,
    "worker_list": [
        {"number": 1, "state": "running", "seconds": 0.25, "job": JOB, "kind": "email"},
        {"number": 2, "state": "idle", "seconds": 61.0, "job": None, "kind": None},
    ],
    "relays": [{
        "name": "hub", "transport": "smtp", "address": "192.0.2.1:25", "connections": 3, "idle": 1,
        "delivered": 1200, "deferred": 20, "rejected": 7,
    }],
}
SHOWN = {
    "job": SUMMARY, "expires_at": "2026-01-07T03:04:05Z", "finished_at": None, "subject": "Your order",
    "history": [{
        "at": "2026-01-02T03:04:06Z", "seconds": 0.123, "relay": "hub", "peer": "192.0.2.1:25",
        "fates": [
            {"recipient": "ann@example.com", "verdict": "delivered", "code": 250, "enhanced": "2.0.0", "text": "Ok"},
            {"recipient": "bob@example.com", "verdict": "deferred", "code": 451, "enhanced": "4.7.1",
             "text": "Greylisted"},
        ],
    }],
}


@pytest.fixture
def binary():
    path = pathlib.Path(os.environ.get("MAILCTL_BIN", REPOSITORY / ".build/release/mailctl"))
    assert path.exists(), f"{path} is missing: build it, or name it in MAILCTL_BIN"
    return str(path)


@pytest.fixture
def maild(tmp_path):
    daemon = FakeMaild(tmp_path)
    yield daemon
    daemon.close()


@pytest.fixture
def environment(tmp_path):
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("MAILD_", "NO_COLOR"))}
    return kept | {
        "MAILD_SUBMIT_SOCKET": str(tmp_path / "submit.sock"),
        "MAILD_CONTROL_SOCKET": str(tmp_path / "control.sock"),
        "TERM": "xterm",
    }


@pytest.fixture
def mailctl(binary, environment):
    def run(*arguments, input=None, **options):
        stdin = {"stdin": subprocess.DEVNULL} if input is None else {"input": input}
        return subprocess.run(
            [binary, *arguments], env=environment, capture_output=True, timeout=SECONDS_MAX, **stdin, **options)
    return run


@pytest.fixture
def on_terminal(binary, environment):
    """Runs mailctl with all three streams on a terminal of 80 columns; returns its exit status and its output."""

    def run(*arguments, **variables):
        master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
        process = subprocess.Popen(
            [binary, *arguments], env=environment | variables, stdin=slave, stdout=slave, stderr=slave)
        os.close(slave)
        output = b""
        while True:
            try:
                piece = os.read(master, 65536)
            except OSError:  # EIO: the last holder of the other end has gone
                break
            if not piece:
                break
            output += piece
        os.close(master)
        return process.wait(SECONDS_MAX), output.decode()

    return run


def jobs(count, **fields):
    return b"".join(
        json.dumps({"to": "a@example.com", "from": "b@example.org", "ref": f"r{n}", **fields}).encode() + b"\n"
        for n in range(1, count + 1))


def complaints(result):
    """Standard error without the summary."""
    lines = result.stderr.decode().splitlines()
    return [line for line in lines if not re.fullmatch(r"mailctl: \d+ taken.*", line)]


# Submitting by flags


def test_flags_become_one_job(mailctl, maild, tmp_path):
    report = tmp_path / "report.csv"
    report.write_bytes(bytes(range(256)))
    result = mailctl(
        "submit", "--to", "a@example.com", "--to", "b@example.com", "--cc", "c@example.com", "--bcc", "d@example.com",
        "--from", "app@example.org", "--reply-to", "help@example.org", "--subject", "Grüße \"x\"", "--text", "line\n",
        "--html", "<p>line</p>", "--header", "X-Shop:  yes: no", "--attach", str(report),
        "--delay", "1h30m", "--expires-at", "2030-01-01T00:00:00Z", "--priority", "7", "--max-attempts", "3",
        "--ref", "order-17", "--type", "email")
    assert (result.returncode, result.stdout) == (0, f"{job_id(1)} scheduled order-17\n".encode())
    assert result.stderr == b""
    assert json.loads(maild.lines[0]) == {
        "to": ["a@example.com", "b@example.com"], "cc": ["c@example.com"], "bcc": ["d@example.com"],
        "from": "app@example.org", "reply_to": ["help@example.org"], "subject": "Grüße \"x\"", "content": "line\n",
        "html": "<p>line</p>", "headers": {"X-Shop": "yes: no"}, "delay": 5400,
        "expires_at": "2030-01-01T00:00:00Z", "priority": 7, "max_attempts": 3, "ref": "order-17", "type": "email",
        "attachments": [{
            "name": "report.csv", "content_type": "text/csv", "data": base64.b64encode(bytes(range(256))).decode(),
        }],
    }


@pytest.mark.parametrize("flags", [[], ["--text", "-"]])
def test_the_text_may_be_piped_in(mailctl, maild, flags):
    result = mailctl("submit", "--to", "a@example.com", "--subject", "Disks", *flags, input="Füll\n".encode())
    assert result.returncode == 0
    assert json.loads(maild.lines[0])["content"] == "Füll\n"


def test_the_html_may_be_piped_in(mailctl, maild):
    assert mailctl("submit", "--to", "a@example.com", "--html", "-", input=b"<b>x</b>").returncode == 0
    assert json.loads(maild.lines[0]) == {"to": ["a@example.com"], "html": "<b>x</b>"}


def test_no_text_is_made_up_where_none_is_piped(mailctl, maild):
    assert mailctl("submit", "--to", "a@example.com", "--subject", "x").returncode == 0
    assert "content" not in json.loads(maild.lines[0])


def test_text_that_is_not_utf8_is_refused_before_it_is_sent(mailctl, maild):
    result = mailctl("submit", "--to", "a@example.com", input=b"\xff")
    assert (result.returncode, maild.lines) == (65, [])
    assert b"UTF-8" in result.stderr


def test_a_refused_job_by_flags_is_told_without_a_line_number(mailctl, maild):
    result = mailctl("submit", "--from", "app@example.org", "--text", "x")
    assert (result.returncode, result.stdout) == (65, b"")
    assert result.stderr == b"mailctl: invalid_job: to: missing\n"


# Submitting a file or standard input


def test_a_thousand_lines_are_answered_in_order(mailctl, maild):
    result = mailctl("submit", input=jobs(1000))
    assert result.returncode == 0
    assert result.stdout.decode().splitlines() == [f"{job_id(n)} ready r{n}" for n in range(1, 1001)]
    assert re.fullmatch(rb"mailctl: 1000 taken in [\d.]+s \(\d+/s\)\n", result.stderr)


def test_a_bad_line_costs_the_others_nothing(mailctl, maild):
    lines = jobs(1000).splitlines(keepends=True)
    lines[499] = b"{\"to\":\n"
    lines[599] = b"{}\n"
    result = mailctl("submit", "-", input=b"".join(lines))
    assert result.returncode == 65
    assert len(result.stdout.splitlines()) == 998
    first, second = complaints(result)
    assert first.startswith("mailctl: line 500: parse_error: ")
    assert second == "mailctl: line 600: invalid_job: to: missing"
    assert b"998 taken, 2 refused in " in result.stderr


def test_json_gives_the_daemons_own_lines_errors_included(mailctl, maild):
    result = mailctl("submit", "--json", "-", input=jobs(1) + b"{}\n" + jobs(1))
    one, two, three = result.stdout.splitlines()
    assert one == b'{"job":"0000000000001","state":"ready","ref":"r1"}'
    assert two == FakeMaild.answer_as_documented(2, b"{}")
    assert three == b'{"job":"0000000000003","state":"ready","ref":"r1"}'
    assert (result.returncode, complaints(result)) == (65, ["mailctl: line 2: invalid_job: to: missing"])


def test_blank_lines_are_counted_but_not_sent_and_the_last_newline_may_be_missing(mailctl, maild):
    result = mailctl("submit", input=b"\n  \r\n" + jobs(1) + b"\t\n{}")
    assert len(maild.lines) == 2
    assert maild.lines[1] == b"{}\n"
    assert complaints(result) == ["mailctl: line 5: invalid_job: to: missing"]


def test_no_lines_are_no_error(mailctl, maild):
    result = mailctl("submit", input=b"")
    assert (result.returncode, result.stdout, maild.lines) == (0, b"", [])


def test_a_long_line_goes_out_whole(mailctl, maild):
    line = jobs(1, content="x" * (5 << 20))
    result = mailctl("submit", input=line + jobs(1))
    assert result.returncode == 0
    assert [len(got) for got in maild.lines] == [len(line), len(jobs(1))]
    assert maild.lines[0] == line


def test_much_in_both_directions_does_not_deadlock(mailctl, maild):
    # The stand-in reads nothing while its answers are not read: both ways are full in no time.
    result = mailctl("submit", "--json", input=jobs(20000, ref="r" * 250))
    assert result.returncode == 0
    assert len(result.stdout.splitlines()) == 20000


def test_a_line_is_answered_while_the_input_stays_open(binary, environment, maild):
    process = subprocess.Popen(
        [binary, "submit"], env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    for number in (1, 2):
        process.stdin.write(jobs(1))
        process.stdin.flush()
        assert process.stdout.readline() == f"{job_id(number)} ready r1\n".encode()
    process.communicate(timeout=SECONDS_MAX)
    assert process.returncode == 0


def test_a_file_may_be_one_object_over_many_lines(mailctl, maild, tmp_path):
    job = {"to": ["a@example.com"], "content": "two\nlines", "number": 12345678901234567890, "exact": 1.10}
    path = tmp_path / "job.json"
    path.write_text("\n" + json.dumps(job, indent=4) + "\n")
    result = mailctl("submit", str(path))
    assert (result.returncode, result.stderr) == (0, b"")
    assert len(maild.lines) == 1
    assert json.loads(maild.lines[0]) == job


def test_a_file_may_have_an_object_a_line(mailctl, maild, tmp_path):
    path = tmp_path / "jobs.ndjson"
    path.write_bytes(jobs(3))
    result = mailctl("submit", str(path))
    assert (result.returncode, len(result.stdout.splitlines())) == (0, 3)


def test_a_file_with_a_broken_first_line_loses_only_that(mailctl, maild, tmp_path):
    path = tmp_path / "jobs.ndjson"
    path.write_bytes(b'{"to":"a@exa\n' + jobs(2))
    result = mailctl("submit", str(path))
    assert (result.returncode, len(result.stdout.splitlines())) == (65, 2)
    assert complaints(result)[0].startswith("mailctl: line 1: parse_error")


def test_a_file_that_is_broken_json_over_many_lines_is_told_by_its_line(mailctl, maild, tmp_path):
    path = tmp_path / "job.json"
    path.write_text('{\n  "to": "a@example.com"\n  "from": "b@example.org"\n}\n')
    result = mailctl("submit", str(path))
    assert (result.returncode, maild.lines) == (65, [])
    assert b"job.json: neither one JSON object nor one a line: line 3: " in result.stderr


def test_a_missing_file_is_66(mailctl, maild, tmp_path):
    for arguments in (["nowhere.json"], ["--to", "a@example.com", "--attach", "nowhere.pdf"], [str(tmp_path)]):
        result = mailctl("submit", *arguments)
        assert result.returncode == 66, arguments
        assert result.stderr.count(b"\n") == 1


# Errors and lost connections


@pytest.mark.parametrize(("error", "retryable", "status"), [
    ("invalid_job", False, 65), ("line_too_long", False, 65), ("unknown_type", False, 65), ("queue_full", True, 75),
    ("read_only", True, 75), ("draining", True, 75), ("quota_exceeded", True, 75), ("timeout", True, 75),
    ("internal", False, 70), ("internal", True, 75), ("of_the_future", False, 65), ("of_the_future", True, 75),
])
def test_each_error_has_its_exit_status(mailctl, maild, error, retryable, status):
    answer = {"error": error, "message": "no", "retryable": retryable, "retry_after": 90}
    maild.answer = lambda number, line: json.dumps(answer).encode()
    result = mailctl("submit", input=jobs(1))
    assert result.returncode == status
    assert complaints(result) == [f"mailctl: line 1: {error}: no (try again in 1m30s)"]


def test_the_first_error_decides(mailctl, maild):
    errors = {2: "queue_full", 3: "invalid_job"}
    maild.answer = lambda number, line: json.dumps(
        {"error": errors[number], "message": "no"} if number in errors else {"job": JOB, "state": "ready"}).encode()
    assert mailctl("submit", input=jobs(4)).returncode == 75


def test_a_cut_connection_says_which_lines_were_answered(mailctl, maild):
    maild.answer = lambda number, line: None if number == 301 else FakeMaild.answer_as_documented(number, line)
    result = mailctl("submit", input=jobs(5000))
    assert result.returncode == 75
    assert result.stdout.decode().splitlines() == [f"{job_id(n)} ready r{n}" for n in range(1, 301)]
    message = complaints(result)[-1]
    assert "maild closed the connection: the lines before line 301 were answered; " in message
    assert "lines 301 to " in message and "they may have been taken" in message
    assert "not taken, send it again" in message or "was not sent" in message


def test_a_cut_connection_under_a_single_job_leaves_it_open_whether_it_was_taken(mailctl, maild):
    maild.answer = lambda number, line: None
    result = mailctl("submit", "--to", "a@example.com", "--text", "x")
    assert result.returncode == 75
    assert b"it may have been taken" in result.stderr


def test_a_refused_connection_gives_the_daemons_reason(mailctl, maild):
    maild.greeting = b'{"error":"quota_exceeded","message":"too many connections","retryable":true}\n'
    result = mailctl("submit", input=jobs(3))
    assert result.returncode == 75
    assert b"quota_exceeded: too many connections" in result.stderr


@pytest.mark.parametrize("answer", [b"220 mail.example.com ESMTP", b"{}", b"[1]", b"\xff\xfe"])
def test_answers_that_are_not_mailds_are_76(mailctl, maild, answer):
    maild.answer = lambda number, line: answer
    assert mailctl("submit", input=jobs(1)).returncode == 76


VERBS = [
    ["submit", "--to", "a@example.com", "--text", "x"], ["status"], ["scale", "4"], ["list"], ["show", JOB], ["pause"],
    ["resume"], ["reload"],
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
    ["submit", "file", "--to", "a@example.com"], ["submit", "--text", "-", "--html", "-"],
], ids=" ".join)
def test_wrong_usage_is_64(mailctl, maild, arguments):
    result = mailctl(*arguments)
    assert (result.returncode, result.stdout) == (64, b"")
    assert b"Usage: mailctl" in result.stderr
    assert (maild.lines, maild.calls) == ([], [])


# Controlling


def test_status_for_people(mailctl, maild):
    maild.replies["Status"] = STATUS
    result = mailctl("status")
    text = result.stdout.decode()
    assert result.returncode == 0
    assert "9.8.7, serving, paused, pid 4242, up " in text
    assert "2 of 8 running (4 configured)" in text
    assert "12 ready (oldest 1m15s), 3 scheduled, 2 running, 1 held, 5 failed; 1.5 MiB" in text
    assert "1234 accepted, 1200 delivered, 7 failed" in text
    assert re.search(rf"^ +1  running +0\.3s  {JOB}  email$", text, re.M)
    assert re.search(r"^ +2  idle +1m1s$", text, re.M)
    assert re.search(r"^hub +smtp +192\.0\.2\.1:25 +3 +1 +1200 +20 +7$", text, re.M)


def test_many_idle_workers_are_only_counted(mailctl, maild):
    idle = [{"number": n, "state": "idle", "seconds": 1.0} for n in range(2, 1025)]
    maild.replies["Status"] = STATUS | {"worker_list": STATUS["worker_list"][:1] + idle}
    text = mailctl("status").stdout.decode()
    assert "and 1023 idle\n" in text
    assert JOB in text and len(text.splitlines()) < 20


@pytest.mark.parametrize(("verb", "method", "reply"), [
    (["status"], "Status", STATUS), (["show", JOB], "Show", SHOWN),
    (["scale", "8"], "Scale", {"workers": 8, "previous": 4}),
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


def paged(count):
    """A List that knows `count` jobs, numbered from 1."""

    def reply(parameters):
        first = int(parameters.get("after") or 0) + 1
        last = min(count, first + parameters.get("limit", 100) - 1)
        page = [SUMMARY | {"id": job_id(n)} for n in range(first, last + 1)]
        return {"parameters": {"jobs": page} | ({"next": job_id(last)} if last < count else {})}

    return reply


def test_list_for_people(mailctl, maild):
    maild.replies["List"] = {"jobs": [SUMMARY]}
    heading, row = mailctl("list", "--state", "scheduled", "--after", JOB).stdout.decode().splitlines()
    assert heading.split() == ["ID", "STATE", "AGE", "TRIES", "FROM", "TO", "LAST", "REPLY"]
    assert re.fullmatch(
        rf"{JOB}  scheduled +\S+ +1  app@example\.org  ann@example\.com \+1  451 4\.7\.1 Greylisted", row)
    assert maild.calls[0]["parameters"] == {"limit": 100, "state": "scheduled", "after": JOB}


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
        "accepted from uid 1000", "attempt 1 over hub (192.0.2.1:25), took 0.1s",
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


# Terminals and pipes

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
    while shown.count(b"4 taken in ") < 3:  # drawn again although nothing moves
        shown += os.read(master, 4096)
    seconds = float(re.findall(rb"4 taken in ([\d.]+)s", shown)[-1])
    release.set()
    answers = process.stdout.read()
    assert process.wait(SECONDS_MAX) == 0
    assert len(answers.splitlines()) == 9
    assert seconds >= 0.4, "three drawings within less than 0.3 s of patience and twice 0.1 s"
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
    for word in ("submit", "status", "scale", "list", "show", "pause", "resume", "reload", "version", "69", "75"):
        assert word in text
    assert "--send-at" in mailctl("submit", "--help").stdout.decode()
