# maild, the mail-job daemon
# SPDX-License-Identifier: Apache-2.0
"""What operators do to jobs with mailctl, before a whole maild."""

import json
import os
import pty
import subprocess

import pytest
from maild import MAILCTL
from smtp_judge import to_recipients
from submission import job
from waiting import PATIENCE, until


@pytest.fixture
def queued(maild):
    """A maild with two queues that begins nothing, by hand."""
    one = maild(queue={"news": {"weight": 1}, "bulk": {"weight": 1}}).start()
    one.mailctl("pause")
    return one


def submit(maild, *jobs):
    with maild.submission() as client:
        answers = client.send(*jobs).answers(len(jobs))
    assert all("job" in answer for answer in answers), answers
    return [answer["job"] for answer in answers]


def ids(result):
    assert result.returncode == 0, result.stderr
    return [line.split()[0] for line in result.stdout.splitlines()]


def listed(maild, *filters):
    return [json.loads(line)["id"] for line in maild.mailctl("list", "--all", "--json", *filters).stdout.splitlines()]


def test_a_list_is_filtered_by_everything_that_a_job_is(queued):
    ann = submit(queued, job(to="Ann <ann@example.com>", queue="news", tags=["a", "b"]))[0]
    bob = submit(queued, job(to=["x@example.net", "bob@example.com"], tags=["b"]))[0]
    raw = submit(queued, job(to=None, subject=None, content=None, raw="Subject: x\n\ny", queue="bulk",
                             envelope={"from": "bounce@example.org", "to": ["ann@example.com"]}))[0]
    later = submit(queued, job(delay=3600))[0]
    queued.mailctl("hold", bob)
    everything = [ann, bob, raw, later]
    for filters, wanted in [
            ([], everything), (["--queue", "news"], [ann]), (["--tag", "b"], [ann, bob]), (["--tag", "c"], []),
            (["--to", "ANN@"], [ann, raw]), (["--to", "example.net"], [bob]), (["--from", "bounce@"], [raw]),
            (["--state", "held"], [bob]), (["--state", "scheduled", "--state", "held"], [bob, later]),
            (["--uid", str(os.getuid())], everything), (["--uid", "4242"], []), (["--kind", "email"], everything),
            (["--older-than", "1h"], []), (["--newer-than", "1h"], everything),
            (["--state", "ready", "--queue", "bulk", "--from", "bounce"], [raw])]:
        assert listed(queued, *filters) == wanted, filters
    assert [job["queue"] for job in queued.control.call("List")["jobs"]] == ["news", "default", "bulk", "default"]
    assert "no such queue" in queued.mailctl("list", "--queue", "nope").stderr
    page = queued.mailctl("show", ann).stdout
    assert "Queue      news" in page and "Tags       a, b" in page


def test_a_job_is_held_and_released_cancelled_and_purged(queued):
    one, two, three = submit(queued, job(), job(), job(idempotency_key="k-3"))
    assert queued.mailctl("hold", one).stdout == f"{one} held\n"
    assert queued.mailctl("cancel", two).stdout == f"{two} cancelled\n"
    assert queued.mailctl("purge", "--yes", three).stdout == f"{three} purged\n"
    assert queued.counts() | {"held": 1, "ready": 0} == queued.counts()
    assert queued.show(two)["job"]["state"] == "cancelled"
    assert queued.mailctl("show", three).returncode == 65
    queued.mailctl("resume")
    queued.mailctl("release", one)
    shown = queued.wait_for_state(one, "delivered")
    assert [entry["event"] for entry in shown["history"]] == ["held", "released", "attempt"]
    page = queued.mailctl("show", one).stdout
    held, released, attempt = [page.index(word) for word in ("held by uid", "released by uid", "attempt 1")]
    assert held < released < attempt
    assert f"{one} held by uid {os.getuid()}" in queued.log()
    with queued.submission() as client:
        again = client.ask(job(idempotency_key="k-3"))
    assert again["job"] == three and again["duplicate"] is True, "what was purged is not sent by a repeat"


def test_a_failed_job_is_tried_again(maild, judge):
    replies = {"b@example.com": "550 5.1.1 no such user"}
    server = judge(script=to_recipients(replies))
    one = maild(relay={"main": {"host": "127.0.0.1", "port": server.port}}).start()
    failed = submit(one, job(to=["a@example.com", "b@example.com"]))[0]
    one.wait_for_state(failed, "failed")
    assert one.mailctl("list", "--state", "failed").stdout.splitlines()[1].split()[:2] == [failed, "failed"]
    replies.clear()
    result = one.mailctl("retry", "--to", "b@example", "--newer-than", "1h")
    assert ids(result) == [failed] and "1 job to be tried again" in result.stderr
    shown = one.wait_for_state(failed, "delivered")
    # Who has his mail is not sent it again.
    assert [[fate["recipient"] for fate in entry.get("fates", [])] for entry in shown["history"]] == [
        ["a@example.com", "b@example.com"], [], ["b@example.com"]]
    assert shown["history"][1]["event"] == "retried"


def test_thousands_are_changed_by_one_command_and_each_is_named(queued):
    names = submit(queued, *(job(queue="bulk") for _ in range(2500)))
    kept = submit(queued, job())[0]
    dry = queued.mailctl("cancel", "--queue", "bulk", "--dry-run")
    assert ids(dry) == names and "2500 jobs would be cancelled" in dry.stderr
    assert queued.counts()["ready"] == 2501
    result = queued.mailctl("cancel", "--queue", "bulk")
    assert ids(result) == names and "2500 jobs cancelled" in result.stderr
    assert listed(queued) == [kept]
    assert "cancel by uid" in queued.log() and "jobs changed: 2500" in queued.log()
    replies = [json.loads(line) for line in
               queued.mailctl("purge", "--yes", "--json", "--state", "cancelled").stdout.splitlines()]
    assert [name for reply in replies for name in reply["ids"]] == names
    assert replies[-1]["changed"] == 2500


def test_a_running_job_is_left_alone_and_told(maild, judge):
    server = judge(hold=True)
    one = maild(relay={"main": {"host": "127.0.0.1", "port": server.port}}).start()
    name = submit(one, job())[0]
    one.wait_for_counts(running=1)
    result = one.mailctl("cancel", name)
    assert (result.returncode, result.stdout) == (75, "")
    assert f"{name} is in a worker's hands" in result.stderr
    result = one.mailctl("hold", "--all")
    assert result.returncode == 0 and "0 jobs held, 1 left as they were" in result.stderr
    server.release()
    one.wait_for_state(name, "delivered")


def test_wrong_usage_says_what_is_missing(queued):
    for arguments, words in [
            (["hold"], "Which jobs?"), (["hold", "nonsense"], "not a job's id"),
            (["hold", "0000000000000", "--all"], "not both"), (["purge", "--all"], "--yes"),
            (["retry", "--older-than", "soon"], "no span of time"), (["cancel", "--state", "lost"], "none of")]:
        result = queued.mailctl(*arguments)
        assert result.returncode == 64 and words in result.stderr, (arguments, result.stderr)
    result = queued.mailctl("release", "0000000000000")
    assert result.returncode == 65 and "no job 0000000000000" in result.stderr


@pytest.mark.parametrize(("said", "left"), [(b"n\n", 2), (b"\n", 2), (b"y\n", 0)])
def test_purge_asks_first_on_a_terminal(queued, said, left):
    submit(queued, job(), job())
    master, slave = pty.openpty()
    process = subprocess.Popen(
        [MAILCTL, "purge", "--state", "ready", "--control-socket", str(queued.control_path)], stdin=slave,
        stdout=slave, stderr=slave)
    os.close(slave)
    output = b""
    while b"[y/N]" not in output:
        output += os.read(master, 4096)
    assert b"Forget 2 jobs for good?" in output
    os.write(master, said)
    assert process.wait(PATIENCE) == 0
    os.close(master)
    assert queued.counts()["ready"] == left


# Queues


def test_a_queue_is_paused_by_itself_over_a_restart_too(maild):
    one = maild(queue={"news": {"weight": 1}}).start()
    assert one.mailctl("pause", "--queue", "news").stdout == "paused\n"
    news, other = submit(one, job(queue="news"), job())
    one.wait_for_state(other, "delivered")
    one.restart()
    other = submit(one, job())[0]
    one.wait_for_state(other, "delivered")
    assert one.show(news)["job"]["state"] == "ready"
    assert one.mailctl("pause", "--queue", "news").stdout == "paused already\n"
    assert one.mailctl("resume", "--queue", "news").stdout == "resumed\n"
    one.wait_for_state(news, "delivered")
    assert one.mailctl("pause", "--queue", "nope").returncode == 64


def test_drain_refuses_new_jobs_and_waits_for_the_rest(maild, judge):
    server = judge(hold=True)
    one = maild(relay={"main": {"host": "127.0.0.1", "port": server.port}}).start()
    names = submit(one, *(job() for _ in range(20)), job(delay=3600))
    one.wait_for_counts(running=8)
    drain = subprocess.Popen(
        [MAILCTL, "drain", "--control-socket", str(one.control_path)], stdout=subprocess.PIPE, text=True)
    until(lambda: one.status()["state"] == "draining", "it drains")
    with one.submission() as client:
        refused = client.ask(job(ref="late"))
        assert refused["error"] == "draining" and refused["retryable"] and refused["ref"] == "late"
        assert one.mailctl("drain", "--timeout", "0.1").returncode == 75
        assert one.http("/-/ready")[0] == 503
        assert drain.poll() is None
        server.release()
        assert drain.wait(PATIENCE) == 0
        assert drain.stdout.read() == "empty: nothing ready, nothing running; 1 scheduled, 0 held, 0 failed stay\n"
        assert one.show(names[0])["job"]["state"] == "delivered"
        assert one.mailctl("drain", "--stop").stdout == "new jobs are taken again\n"
        assert "job" in client.ask(job()), "the same connection"
    one.mailctl("drain", "--no-wait")
    one.restart()
    assert one.status()["state"] == "running"
    submit(one, job())


def test_the_status_has_a_row_for_each_queue(maild):
    one = maild(queue={"news": {"weight": 2, "concurrency_max": 3}}).start()
    one.mailctl("pause")
    submit(one, job(queue="news"), job(queue="news", delay=60), job())
    one.mailctl("hold", "--queue", "default")
    one.mailctl("pause", "--queue", "news")
    rows = {queue["name"]: queue for queue in one.status()["queues"]}
    assert list(rows) == ["default", "news"]
    assert {key: rows["news"][key] for key in ("weight", "concurrency_max", "paused", "waiting", "held")} == {
        "weight": 2, "concurrency_max": 3, "paused": True, "waiting": 2, "held": 0}
    assert (rows["default"]["waiting"], rows["default"]["held"]) == (0, 1)
    [heading, default, news] = one.mailctl("status").stdout.split("\n\n")[1].splitlines()
    assert heading.split() == ["QUEUE", "WEIGHT", "WAITING", "OLDEST", "RUNNING", "HELD", "FAILED"]
    assert news.split()[0] == "news" and news.endswith("paused") and default.split()[0] == "default"
