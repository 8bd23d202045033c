# maild, the mail-job daemon
# SPDX-License-Identifier: Apache-2.0
"""A queue moves to another maild: whole, under its ids, and nothing of it twice."""

import base64
import json
import os
import re
import stat
import subprocess
from collections import Counter

import pytest
from maild import MAILCTL
from smtp_judge import to_recipients
from submission import job, line
from waiting import until

LONG = 120.0
MANY = 3000


def subject(message):
    return re.search(rb"(?m)^Subject: (.*?)\r$", message.data).group(1).decode()


def submit(one, *jobs):
    with one.submission() as client:
        return [answer["job"] for answer in client.send(*jobs).answers(len(jobs))]


def export(one, path, *arguments):
    finished = one.mailctl("export", "--output", str(path), *arguments)
    assert finished.returncode == 0, finished.stderr
    return [json.loads(text) for text in path.read_text().splitlines()], finished.stderr


def import_(one, path, *arguments):
    finished = one.mailctl("import", str(path), *arguments)
    assert finished.returncode == 0, finished.stderr
    return finished.stderr


@pytest.fixture
def apart(maild, judge):
    """The maild that jobs come from, and the one they go to, with the server that the second delivers to."""
    server = judge()
    queue = {"queue": {"news": {"weight": 1}}, "webhook": {"allow_private": False}}
    return maild(workers=2, **queue).start(), maild(workers=4, relay=server.settings(), **queue).start(), server


def test_a_queue_arrives_whole_and_once_in_another_maild(apart, tmp_path):
    old, new, server = apart
    old.control.call("Pause")
    names = submit(old, *(job(subject=f"n{number}", ref=f"r{number}") for number in range(MANY)))
    later = submit(old, job(delay=86400, subject="later"), job(send_at="2999-01-01T00:00:00Z",
                                                              expires_at="2999-02-01T00:00:00Z", subject="far"))
    [aside] = submit(old, job(subject="aside", idempotency_key="k1", priority=9, queue="news", tags=["a"]))
    assert old.mailctl("hold", aside).returncode == 0
    [hook] = submit(old, {"type": "webhook", "url": "https://example.com/x", "body": {"a": [1.50, "ü"]}})
    assert old.mailctl("hold", hook).returncode == 0

    file = tmp_path / "queue.ndjson"
    exported, told = export(old, file)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert [each["id"] for each in exported] == [*names, *later, aside, hook] and f"{MANY + 4} jobs exported" in told
    assert old.counts()["ready"] == MANY, "nothing is changed by it"
    assert exported[0]["line"] == line(job(subject="n0", ref="r0")).decode().strip()

    assert f"{MANY + 4} imported" in import_(new, file)
    server.wait_for_messages(MANY, seconds=LONG)
    new.wait_for_counts(ready=0, running=0, scheduled=2, held=2, failed=0, seconds=LONG)
    assert "0 imported" in import_(new, file) and "here already" in import_(new, file)
    assert f"{MANY + 4} here already" in import_(new, file)
    new.wait_for_counts(ready=0, running=0, scheduled=2, held=2, failed=0)
    assert Counter(subject(message) for message in server.messages) == {
        f"n{number}": 1 for number in range(MANY)}
    for name, before in ((name, old.show(name)) for name in [*later, aside, hook]):
        after = new.show(name)
        assert after["history"][-1]["event"] == "imported"
        assert after["history"][:-1] == before["history"]
        assert {key: value for key, value in after["job"].items() if key != "last_reply"} == before["job"]
        assert {key: after.get(key) for key in ("expires_at", "subject", "idempotency_key")} == {
            key: before.get(key) for key in ("expires_at", "subject", "idempotency_key")}

    assert submit(new, job(subject="aside", idempotency_key="k1", priority=9, queue="news", tags=["a"])) == [aside]
    assert new.mailctl("release", aside).returncode == 0
    server.wait_for_messages(MANY + 1)
    moved = subprocess.run(["xargs", MAILCTL, "purge", "--yes", "--json"], text=True, capture_output=True, timeout=60,
                           input="\n".join(each["id"] for each in exported),
                           env={"PATH": os.environ["PATH"], "MAILD_CONTROL_SOCKET": str(old.control_path)})
    assert moved.returncode == 0, moved.stderr
    assert sum(old.counts().values()) == 0


def test_who_has_his_mail_is_not_sent_it_again(maild, judge, tmp_path):
    replies = {"b@example.com": "451 4.2.1 later", "c@example.com": "550 5.1.1 no such user"}
    first, second = judge(script=to_recipients(replies)), judge()
    old = maild(relay=first.settings()).start()
    [name] = submit(old, job(to=["a@example.com", "b@example.com", "c@example.com"]))
    until(lambda: old.show(name)["job"]["attempts"] == 1 and old.show(name)["job"]["state"] == "scheduled", "deferred")
    old.control.call("Pause")
    file = tmp_path / "queue.ndjson"
    [exported], _ = export(old, file)
    assert exported["fates"] == ["delivered", "open", "rejected"] and exported["attempts"] == 1
    new = maild(relay=second.settings()).start()
    import_(new, file)
    assert new.show(name)["job"]["due_at"] == old.show(name)["job"]["due_at"]
    assert new.mailctl("hold", name).returncode == 0 and new.mailctl("release", name).returncode == 0
    new.control.call("Pause")
    new.control.call("Resume")
    new.wait_for_state(name, "failed", seconds=LONG)
    [message] = second.messages
    assert message.recipients == ["b@example.com"]
    assert message.message_id == first.messages[0].message_id, "a server that sees both can tell"
    assert [entry.get("event") for entry in new.show(name)["history"]].count("attempt") == 2


def test_dead_letters_and_a_hold_over_everything(maild, tmp_path):
    old, new = maild(noop={"enabled": True}).start(), maild(noop={"enabled": True}).start()
    [dead] = submit(old, {"type": "noop", "verdict": "rejected"})
    old.wait_for_state(dead, "failed")
    old.control.call("Pause")
    ready, later = submit(old, {"type": "noop"}, {"type": "noop", "delay": 3600})
    file = tmp_path / "queue.ndjson"
    export(old, file)
    import_(new, file, "--hold")
    assert new.counts() == {"ready": 0, "scheduled": 0, "running": 0, "held": 2, "failed": 1}
    assert new.mailctl("release", "--all").returncode == 0
    new.wait_for_state(ready, "delivered")
    assert new.show(later)["job"]["due_at"] == old.show(later)["job"]["due_at"]
    part, _ = export(old, tmp_path / "dead.ndjson", "--state", "failed")
    assert [each["id"] for each in part] == [dead]
    assert export(old, tmp_path / "later.ndjson", "--state", "scheduled")[0][0]["id"] == later


def test_a_refused_line_is_told_with_its_number_and_costs_the_others_nothing(maild, tmp_path):
    old, new = maild(noop={"enabled": True}).start(), maild().start()
    old.control.call("Pause")
    submit(old, *(job(subject=f"n{number}") for number in range(7)), {"type": "noop"})
    jobs, _ = export(old, tmp_path / "queue.ndjson")
    new.control.call("Pause")
    jobs[1]["queue"] = "nowhere"
    jobs[2]["due_At"] = "2027-01-01T00:00:00Z"
    jobs[3]["line"] = jobs[3]["line"].replace("a@example.com", "a@")
    jobs[4]["format"] = 2
    jobs[5]["state"] = "delivered"
    texts = [json.dumps(each) for each in jobs]
    texts[6] = texts[6][:-5]
    path = tmp_path / "mended.ndjson"
    path.write_text("\n".join(texts))
    finished = new.mailctl("import", str(path), "--json")
    assert finished.returncode == 65
    told = finished.stderr.splitlines()
    for number, word in ((2, "queue"), (3, "due_At"), (4, "line: to"), (5, "format"), (6, "state"), (7, "byte"),
                         (8, "noop")):
        assert any(f"line {number}: " in text and word in text for text in told), (number, told)
    assert told[-1] == "mailctl: 1 imported, 7 refused"
    results = sorted((json.loads(text) for text in finished.stdout.splitlines()), key=lambda each: each["line"])
    assert [each["outcome"] for each in results] == ["imported"] + ["refused"] * 7
    assert results[0]["job"] == jobs[0]["id"] and new.counts()["ready"] == 1


def test_an_import_that_was_cut_off_is_finished_by_the_next(apart, tmp_path):
    old, new, server = apart
    old.control.call("Pause")
    submit(old, *(job(subject=f"n{number}", content="x" * 2000) for number in range(MANY)))
    file = tmp_path / "queue.ndjson"
    export(old, file)
    new.control.call("Pause")
    process = subprocess.Popen(
        [MAILCTL, "import", str(file)], stderr=subprocess.PIPE,
        env={"PATH": os.environ["PATH"], "MAILD_CONTROL_SOCKET": str(new.control_path)})
    until(lambda: new.counts()["ready"] > 0, "some are there")
    new.kill()
    assert process.wait(LONG) in (0, 69, 75)
    new.start()
    import_(new, file)
    assert new.counts()["ready"] == MANY
    new.control.call("Resume")
    server.wait_for_messages(MANY, seconds=LONG)
    new.wait_for_counts(ready=0, running=0, seconds=LONG)
    assert len({subject(message) for message in server.messages}) == len(server.messages) == MANY


def test_a_large_message_moves_too_and_memory_is_bounded_by_a_page(maild, tmp_path):
    old, new = maild().start(), maild().start()
    old.control.call("Pause")
    data = base64.b64encode(os.urandom(1 << 20) * 20).decode()
    with old.submission() as client:
        client.socket.settimeout(LONG)
        for number in range(6):
            assert "job" in client.ask(job(subject=f"n{number}", attachments=[{"name": "a", "data": data}]))
    file = tmp_path / "queue.ndjson"
    exported, _ = export(old, file)
    new.control.call("Pause")
    assert "6 imported" in import_(new, file)
    for each in exported:
        assert new.show(each["id"])["job"]["bytes"] == old.show(each["id"])["job"]["bytes"]
    assert max(one.memory("VmHWM") for one in (old, new)) < 400 << 10, "six of them are 160 MiB as they stand"
    new.control.call("Resume")
    new.wait_for_counts(ready=0, running=0, seconds=LONG)


def test_files_and_states_that_cannot_be(running, tmp_path):
    there = tmp_path / "there"
    there.write_text("x")
    assert running.mailctl("export", "--output", str(there)).returncode == 74 and there.read_text() == "x"
    assert running.mailctl("export", "--state", "delivered").returncode == 64
    assert running.mailctl("import", str(tmp_path / "nowhere")).returncode == 66
    assert running.mailctl("import", str(tmp_path)).returncode == 66
    empty = running.mailctl("export")
    assert (empty.returncode, empty.stdout) == (0, "") and "0 jobs exported" in empty.stderr
    assert running.mailctl("import", "-", input="\n\n").returncode == 0


def test_a_running_job_is_told(maild, judge, tmp_path):
    server = judge(hold=True)
    one = maild(workers=1, relay=server.settings()).start()
    submit(one, job(), job())
    server.wait_for_held(1)
    exported, told = export(one, tmp_path / "queue.ndjson")
    assert [each["state"] for each in exported] == ["running", "ready"]
    assert "1 of them is in a worker's hands" in told
    server.release()
