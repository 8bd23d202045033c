# maild, the mail-job daemon
# SPDX-License-Identifier: Apache-2.0
"""Apps: users of the machine, by what the kernel says of them; from whom they may send, and how much."""

import re

import pytest
from control import ControlError
from submission import job, line
from users import BULK, GUEST, SHOP, pour, submission_of
from waiting import until

MAILERS = 30001
"""A group that no system gives by itself."""

APPS = {
    "shop": {"user": SHOP, "senders": ["app@example.org", "@shop.example"]},
    "newsletter": {"user": [BULK], "jobs_max": 3, "queue": "bulk", "priority_max": 3},
    "mailers": {"group": MAILERS},
}


@pytest.fixture
def one(maild):
    """With the apps; nothing is delivered yet."""
    one = maild(app=APPS, queue={"bulk": {"weight": 1}}).start()
    one.control.call("Pause")
    return one


def app_of(maild, answer):
    return maild.show(answer["job"])["job"]["app"]


def test_an_app_sends_as_whom_it_may_and_the_connection_goes_on_after_a_refusal(one):
    raw = "From: {}\r\nSubject: hi\r\n\r\ntext"
    with submission_of(one, SHOP) as client:
        assert "job" in client.ask(job())
        for refused, field in (
                (job(**{"from": "ceo@example.net"}), "from"),
                (job(envelope={"from": "ceo@example.net"}), "envelope.from"),
                ({"raw": raw.format("ceo@example.net"),
                  "envelope": {"from": "x@shop.example", "to": ["a@example.com"]}}, "raw")):
            answer = client.ask(refused)
            assert (answer["error"], answer["field"], answer["retryable"]) == ("permission_denied", field, False)
            assert "shop" in answer["message"]
        assert "job" in client.ask(job(**{"from": "Shop <x@shop.example>"}, envelope={"from": "bounces@shop.example"}))
        assert "job" in client.ask({
            "raw": raw.format("x@shop.example"), "envelope": {"from": "app@example.org", "to": ["a@example.com"]}})
    with submission_of(one, GUEST) as client:
        assert "job" in client.ask(job(**{"from": "ceo@example.net"}))
    assert one.counts()["ready"] == 4


def test_who_submitted_is_told_by_the_apps_name_everywhere_and_never_by_a_number(one):
    answers = {}
    for uid, groups, name in ((SHOP, [], "shop"), (GUEST, [MAILERS], "mailers"), (GUEST + 1, [], "other")):
        with submission_of(one, uid, groups=groups) as client:
            answers[name] = client.ask(job())
            assert client.ask(job(to="a@"))["error"] == "invalid_job"
    for name, answer in answers.items():
        assert app_of(one, answer) == name
    assert {each["app"] for each in one.control.call("List")["jobs"]} == set(answers)
    usage = {each["name"]: each for each in one.status()["apps"]}
    assert {name: each["jobs"] for name, each in usage.items()} == {
        "mailers": 1, "newsletter": 0, "shop": 1, "other": 1}
    assert usage["shop"]["bytes"] > 0
    metrics = one.http("/metrics")[2]
    for name in answers:
        assert f'maild_app_jobs{{app="{name}"}} 1' in metrics
        assert f'maild_app_jobs_accepted_total{{app="{name}"}} 1' in metrics
        assert f'maild_app_jobs_rejected_total{{app="{name}"}} 1' in metrics
    assert not re.search(rf"\b({SHOP}|{GUEST})\b", metrics)
    one.control.call("Resume")
    for name, answer in answers.items():
        one.wait_for_state(answer["job"], "delivered")
        line = rf"{answer['job']} delivered.* app={name}\b"
        # The log is written by a thread of its own.
        until(lambda: re.search(line, one.log()), line)
    assert "app" in one.mailctl("status").stdout.lower()
    assert f"from app shop (uid {SHOP})" in one.mailctl("show", answers["shop"]["job"]).stdout


def test_mailctl_list_has_a_column_for_the_app_where_there_are_any(one):
    with submission_of(one, SHOP) as client:
        client.ask(job())
    heading, row = one.mailctl("list").stdout.splitlines()
    assert "APP" in heading.split() and "shop" in row.split()


def test_who_is_an_app_by_a_group_is_still_told_so_after_a_restart(one):
    with submission_of(one, GUEST, gid=MAILERS) as client:
        first = client.ask(job())
    with submission_of(one, GUEST + 1, groups=[5, MAILERS, 7]) as client:
        second = client.ask(job())
    one.restart()
    assert app_of(one, first) == app_of(one, second) == "mailers"


def test_a_full_quota_is_told_with_a_time_to_wait_and_costs_nobody_else_anything(one):
    with submission_of(one, BULK) as client, submission_of(one, GUEST) as other:
        answers = client.send(*(job(ref=str(number)) for number in range(5))).answers(5)
        assert [answer.get("error") for answer in answers] == [None] * 3 + ["quota_exceeded"] * 2
        assert answers[4]["retry_after"] > 0 and answers[4]["retryable"] and answers[4]["ref"] == "4"
        assert "job" in other.ask(job())
        # On the same connection, once there is room.
        one.control.call("Resume")
        one.wait_for_state(answers[2]["job"], "delivered")
        assert "job" in client.ask(job())


def test_an_apps_jobs_go_into_its_queue_and_no_higher_than_it_may(one):
    with submission_of(one, BULK) as client:
        answer = client.ask(job(priority=9))
        assert (answer["error"], answer["field"]) == ("permission_denied", "priority")
        assert one.show(client.ask(job())["job"])["job"]["priority"] == 3


def test_jobs_a_minute_are_bounded_by_user(maild):
    one = maild(app={"slow": {"user": [SHOP, BULK], "jobs_per_minute": 6}}).start()
    for uid in (SHOP, BULK):
        with submission_of(one, uid) as client:
            for _ in range(2):
                assert client.ask({"to": 5})["error"] == "invalid_job"
            answers = client.send(*(job(ref=str(number)) for number in range(9))).answers(9)
        assert sum("job" in answer for answer in answers) == 6
        assert answers[8]["error"] == "quota_exceeded" and answers[8]["ref"] == "8"
        assert 1 <= answers[8]["retry_after"] <= 10
    with submission_of(one, GUEST) as client:
        pour(client, line(job()), 50)


def test_a_reload_holds_for_connections_that_are_open(one):
    with submission_of(one, SHOP) as client:
        assert "job" in client.ask(job())
        one.configure(app={"shop": {"user": SHOP, "senders": "@example.net"}})
        changed = one.control.call("Reload")["changed"]
        assert "app.shop.senders" in changed and "app.mailers.group" in changed
        assert client.ask(job())["error"] == "permission_denied"
        assert "job" in client.ask(job(**{"from": "app@example.net"}))
    with submission_of(one, GUEST) as client:
        assert app_of(one, client.ask(job())) == "other"


def test_a_name_that_this_machine_does_not_know_ends_the_start_and_leaves_a_reload_as_it_was(one):
    one.configure(app={"shop": {"user": "no-such-user"}})
    with pytest.raises(ControlError) as failed:
        one.control.call("Reload")
    assert "app.shop.user" in failed.value.parameters["message"]
    with submission_of(one, SHOP) as client:
        assert app_of(one, client.ask(job())) == "shop"
    one.stop()
    one.spawn()
    assert one.process.wait(20) == 78
    assert "must be a user of this machine" in one.log()
