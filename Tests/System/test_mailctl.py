# maild, the mail-job daemon
# SPDX-License-Identifier: Apache-2.0
"""mailctl against a running maild: the operators' verbs, and what survives a restart."""

import json
import os
import tempfile
from pathlib import Path

import pytest
from submission import job, line
from waiting import until


def submit(maild, *jobs):
    with maild.submission() as client:
        return [answer["job"] for answer in client.send(*jobs).answers(len(jobs))]


def as_json(finished):
    assert finished.returncode == 0, finished.stderr
    return json.loads(finished.stdout)


def test_scale_grows_and_shrinks_at_once_and_interrupts_no_running_job(maild, judge):
    server = judge(hold=True)
    one = maild(workers=2, relay=server.settings(connections_max=16)).start()
    submit(one, *(job(subject=str(n)) for n in range(40)))
    server.wait_for_held(2)
    assert one.counts()["running"] == 2

    grown = one.mailctl("scale", "8")
    assert grown.returncode == 0 and "8" in grown.stdout and "2" in grown.stdout
    server.wait_for_held(8)
    status = one.status()
    assert (status["workers"], status["workers_configured"], status["counts"]["running"]) == (8, 2, 8)

    assert as_json(one.mailctl("scale", "3", "--json")) == {"workers": 3, "previous": 8}
    assert len(server.held) == 8 and one.counts()["running"] == 8  # Nobody was interrupted.
    server.release(8)
    server.wait_for_messages(8)
    server.wait_for_held(3)
    server.holding_most = 3
    for number in range(9, 19):
        server.release(1)
        server.wait_for_messages(number)
        server.wait_for_held(3)
    assert server.holding_most == 3 and one.counts()["running"] == 3
    server.release()
    messages = server.wait_for_messages(40)
    assert len({message.message_id for message in messages}) == len(messages) == 40
    assert all(session.ended_by != "client" for session in server.sessions) and server.faults == []


def test_the_number_of_workers_survives_a_restart_until_the_file_says_otherwise(maild):
    one = maild(workers=2).start()
    assert one.mailctl("scale", "5").returncode == 0
    one.restart()
    assert (one.status()["workers"], one.status()["workers_configured"]) == (5, 2)
    one.kill()
    one.start()
    assert one.status()["workers"] == 5
    one.configure(workers=3)
    one.restart()
    assert (one.status()["workers"], one.status()["workers_configured"]) == (3, 3)
    assert one.mailctl("scale", "7").returncode == 0
    assert as_json(one.mailctl("scale", "default", "--json")) == {"workers": 3, "previous": 7}
    one.restart()
    assert one.status()["workers"] == 3


def test_a_pause_stops_claiming_not_accepting_and_survives_a_restart(maild, judge):
    server = judge()
    one = maild(relay=server.settings()).start()
    assert "paused" in one.mailctl("pause").stdout
    assert one.control.call("Pause") == {"paused": True, "was_paused": True}
    submit(one, *(job() for _ in range(10)))
    one.restart()
    assert one.status()["paused"] is True and one.counts()["ready"] == 10
    submit(one, job())
    assert one.counts() == {"ready": 11, "scheduled": 0, "running": 0, "held": 0, "failed": 0}
    assert server.sessions == []
    assert "resumed" in one.mailctl("resume").stdout
    server.wait_for_messages(11)
    one.restart()
    assert one.status()["paused"] is False


def test_a_pause_lets_running_jobs_end(maild, judge):
    server = judge(hold=True)
    one = maild(workers=2, relay=server.settings()).start()
    submit(one, *(job() for _ in range(5)))
    server.wait_for_held(2)
    one.control.call("Pause")
    server.release()
    one.wait_for_counts(running=0, ready=3)
    assert len(server.messages) == 2
    one.control.call("Resume")
    server.wait_for_messages(5)


def test_list_shows_what_is_not_finished_page_by_page(running):
    running.control.call("Pause")
    ready = submit(running, *(job(ref=f"r{n}", to=f"u{n}@example.com") for n in range(25)))
    [later] = submit(running, job(delay=3600))
    text = running.mailctl("list").stdout
    assert all(name in text for name in [*ready, later]) and "u24@example.com" in text
    rows = [json.loads(row) for row in running.mailctl("list", "--json", "--state", "ready").stdout.splitlines()]
    assert [row["id"] for row in rows] == ready
    assert [row["id"] for row in map(json.loads, running.mailctl(
        "list", "--json", "--limit", "5", "--after", ready[9]).stdout.splitlines())] == ready[10:15]
    first = running.control.call("List", limit=10)
    assert [row["id"] for row in first["jobs"]] == ready[:10] and first["next"] == ready[9]
    everything = running.mailctl("list", "--all", "--json").stdout.splitlines()
    assert [json.loads(row)["id"] for row in everything] == [*ready, later]


def test_show_tells_everything_of_a_waiting_and_of_a_finished_job(running):
    running.control.call("Pause")
    [name] = submit(running, job(ref="order-17", priority=7, subject="Grüße", max_attempts=3, cc="c@example.com"))
    waiting = as_json(running.mailctl("show", name, "--json"))
    summary = waiting["job"]
    assert (summary["id"], summary["state"], summary["kind"], summary["priority"]) == (name, "ready", "email", 7)
    assert summary["ref"] == "order-17" and summary["attempts"] == 0
    assert summary["from"] == "app@example.org" and set(summary["to"]) == {"a@example.com", "c@example.com"}
    assert summary["uid"] == os.getuid() and summary["bytes"] > 0
    assert waiting["subject"] == "Grüße" and waiting["history"] == []
    assert "Grüße" in running.mailctl("show", name).stdout
    running.control.call("Resume")
    done = running.wait_for_state(name, "delivered")
    assert done["finished_at"] >= summary["accepted_at"] and done["job"]["attempts"] == 1
    text = running.mailctl("show", name).stdout
    assert all(word in text for word in (name, "delivered", "order-17", "a@example.com"))


def test_status_tells_workers_counts_totals_and_relays(maild, judge):
    server = judge(hold=True)
    one = maild(workers=2, relay=server.settings()).start()
    submit(one, *(job() for _ in range(5)), job(delay=3600))
    server.wait_for_held(2)
    status = as_json(one.mailctl("status", "--json"))
    assert status["counts"] == {"ready": 3, "scheduled": 1, "running": 2, "held": 0, "failed": 0}
    assert status["pid"] == one.pid and status["accepted_total"] == 6 and status["delivered_total"] == 0
    assert status["oldest_ready_seconds"] >= 0 and status["spool_bytes"] > 0 and status["paused"] is False
    assert [worker["state"] for worker in status["worker_list"]] == ["running", "running"]
    assert all(worker["job"] and worker["kind"] == "email" for worker in status["worker_list"])
    [relay] = status["relays"]
    assert (relay["name"], relay["transport"], relay["connections"]) == ("judge", "smtp", 2)
    text = one.mailctl("status").stdout
    assert "judge" in text and str(server.port) in text
    server.release()
    server.wait_for_messages(5)
    until(lambda: one.status()["delivered_total"] == 5, "five are delivered")
    assert all(worker["state"] == "idle" for worker in one.status()["worker_list"])


def test_submit_by_flags_file_and_standard_input(running, tmp_path):
    flags = running.mailctl(
        "submit", "--to", "a@example.com", "--from", "app@example.org", "--subject", "hi", "--text", "text")
    assert flags.returncode == 0, flags.stderr
    running.wait_for_state(flags.stdout.split()[0], "delivered")
    file = tmp_path / "job.json"
    file.write_text(json.dumps(job(ref="from-a-file"), indent=2))
    assert "from-a-file" in running.mailctl("submit", str(file)).stdout
    many = running.mailctl("submit", "-", input="".join(line(job(ref=f"n{n}")).decode() for n in range(3000)))
    assert many.returncode == 0, many.stderr
    assert [row.split()[-1] for row in many.stdout.splitlines()] == [f"n{n}" for n in range(3000)]


def test_a_refused_line_is_told_with_its_number_and_the_others_are_taken(running):
    text = line(job()).decode() + '{"to":\n' + line(job(to="a@")).decode() + line(job()).decode()
    finished = running.mailctl("submit", "-", input=text)
    assert finished.returncode == 65
    assert len(finished.stdout.splitlines()) == 2
    assert "2" in finished.stderr and "3" in finished.stderr and "a@" in finished.stderr


@pytest.mark.parametrize("arguments, status", [
    (["show", "0000000000000"], 65), (["show", "nonsense"], 64), (["scale", "0"], 64), (["scale", "1025"], 64),
    (["scale"], 64), (["list", "--state", "sleeping"], 64), (["dance"], 64), (["submit", "/nonexistent.json"], 66),
    (["version"], 0),
])
def test_exit_statuses_follow_sysexits(running, arguments, status):
    finished = running.mailctl(*arguments)
    assert finished.returncode == status, finished
    assert finished.stderr if status else finished.stdout


def test_a_maild_that_is_away_is_69_and_named(maild):
    one = maild()
    for arguments in (["status"], ["submit", "-"]):
        finished = one.mailctl(*arguments, input=line(job()).decode())
        assert finished.returncode == 69 and str(one.directory) in finished.stderr


def test_a_socket_without_permission_is_77(maild):
    # Below /tmp, where pytest's directories let nobody else in: a socket that stands in front of maild's own.
    one = maild().start()
    options = {"user": 65534, "group": 65534} if os.geteuid() == 0 else {}
    with tempfile.TemporaryDirectory() as directory:
        os.chmod(directory, 0o755)
        for name in ("submit", "control"):
            path = one.directory / f"{name}.sock"
            path.chmod(0o000)
            os.link(path, f"{directory}/{name}.sock")
        one.submit_path, one.control_path = (Path(directory) / f"{name}.sock" for name in ("submit", "control"))
        for arguments in (["status"], ["submit", "-"]):
            finished = one.mailctl(*arguments, input=line(job()).decode(), **options)
            assert finished.returncode == 77, finished


def test_ids_rise_over_restarts_and_are_never_used_again(maild):
    one = maild().start()
    names = []
    for _ in range(5):
        names += submit(one, *(job() for _ in range(200)))
        one.kill()
        one.start()
    assert names == sorted(set(names)) and len(names) == 1000
