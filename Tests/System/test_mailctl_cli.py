# maild, the mail-job daemon
# SPDX-License-Identifier: Apache-2.0
"""What mailctl submit sends and says, and with what it exits, against a stand-in for maild."""

import base64
import json
import re
import subprocess

import pytest
from fake_maild import JOB, FakeMaild, job_id
from mailctl_stage import SECONDS_MAX, binary, complaints, environment, jobs, mailctl, maild  # noqa: F401


def sent(got):
    """A job as mailctl was given it: without the key that it gives each."""
    fields = json.loads(got)
    assert re.fullmatch(r"[0-9a-z]+-\d+", fields.pop("idempotency_key"))
    return fields


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
    assert sent(maild.lines[0]) == {
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
    assert sent(maild.lines[0]) == {"to": ["a@example.com"], "html": "<b>x</b>"}


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
    assert re.fullmatch(rb"mailctl: 1000 taken in [\d.]+m?s \(\d+/s\)\n", result.stderr)


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
    assert sent(maild.lines[1]) == {}
    assert complaints(result) == ["mailctl: line 5: invalid_job: to: missing"]


def test_no_lines_are_no_error(mailctl, maild):
    result = mailctl("submit", input=b"")
    assert (result.returncode, result.stdout, maild.lines) == (0, b"", [])


def test_a_long_line_goes_out_whole(mailctl, maild):
    line = jobs(1, content="x" * (5 << 20))
    result = mailctl("submit", input=line + jobs(1))
    assert result.returncode == 0
    assert [sent(got) for got in maild.lines] == [json.loads(line), json.loads(jobs(1))]


def test_a_line_longer_than_maild_takes_goes_to_it_as_it_is(mailctl, maild):
    line = b'{"to":"' + b"x" * (48 << 20) + b'"}\n'
    maild.answer = lambda number, got: FakeMaild.answer_as_documented(number, got)
    result = mailctl("submit", input=jobs(1) + line + jobs(1))
    assert result.returncode == 0, result.stderr
    assert maild.lines[1] == line and sent(maild.lines[2]) == json.loads(jobs(1))


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
    assert sent(maild.lines[0]) == job


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
    result = mailctl("submit", "--timeout", "0", input=jobs(5000))
    assert result.returncode == 75
    assert result.stdout.decode().splitlines() == [f"{job_id(n)} ready r{n}" for n in range(1, 301)]
    message = complaints(result)[-1]
    assert "maild closed the connection: the lines before line 301 were answered; " in message
    assert "lines 301 to " in message and "they may have been taken" in message
    assert "not taken, send it again" in message or "was not sent" in message


def test_a_cut_connection_under_a_single_job_leaves_it_open_whether_it_was_taken(mailctl, maild):
    maild.answer = lambda number, line: None
    result = mailctl("submit", "--timeout", "0", "--to", "a@example.com", "--text", "x")
    assert result.returncode == 75
    assert b"it may have been taken" in result.stderr


def test_a_refused_connection_gives_the_daemons_reason(mailctl, maild):
    maild.greeting = b'{"error":"quota_exceeded","message":"too many connections","retryable":true}\n'
    result = mailctl("submit", input=jobs(3))
    assert result.returncode == 75
    assert b"quota_exceeded: too many connections" in result.stderr
    # It is told once, and not of each line over a connection of its own.
    assert len(complaints(mailctl("submit", input=jobs(3000)))) == 2


@pytest.mark.parametrize("answer", [b"220 mail.example.com ESMTP", b"{}", b"[1]", b"\xff\xfe"])
def test_answers_that_are_not_mailds_are_76(mailctl, maild, answer):
    maild.answer = lambda number, line: answer
    assert mailctl("submit", input=jobs(1)).returncode == 76
