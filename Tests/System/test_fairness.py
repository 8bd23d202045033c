# maild, the mail-job daemon
# SPDX-License-Identifier: Apache-2.0
"""Nobody's hundred thousand hold up somebody else's one: users in turn, queues by weight, priorities first."""

import re
import time

import pytest
from submission import job, line
from users import BULK, GUEST, SHOP, pour, submission_of
from waiting import until

MANY = 100_000
PROMPTLY = 5.0
"""Seconds within which a mail must be out on a loaded machine; the hundred thousand take many times as long."""
WORKERS = 8
IN_HAND = 4 * WORKERS
"""Mails that may go before one that is next: what the workers have, what their next turn brings, and as much again for
what arrived while the test looked away."""

NEWSLETTERS = b"".join(line(job(subject="newsletter", to=f"reader-{n}@example.com")) for n in range(500))


def subjects(server):
    return [re.search(rb"Subject: (.*)\r\n", message.data)[1].decode() for message in list(server.messages)]


def place(server, subject, start=0):
    """Where the first mail with this subject stands among those that the server took, once it is there."""
    def find():
        found = subjects(server)[start:]
        return [start + found.index(subject)] if subject in found else None
    return until(find, f"{subject} has arrived")[0]


@pytest.fixture
def flooded(maild, judge):
    """A maild for which one user has a hundred thousand newsletters waiting, and the server that takes them."""
    server = judge()
    one = maild(workers=WORKERS, relay=server.settings(connections_max=WORKERS)).start()
    one.control.call("Pause")
    with submission_of(one, BULK) as client:
        pour(client, NEWSLETTERS, MANY // 500)
    return one, server


def test_a_password_reset_does_not_wait_for_another_users_hundred_thousand_newsletters(flooded):
    one, server = flooded
    one.control.call("Resume")
    server.wait_for_messages(500)
    for number in range(5):
        with submission_of(one, SHOP) as client:
            assert "job" in client.ask(job(subject=f"reset {number}"))
        before, began = len(server.messages), time.monotonic()
        assert place(server, f"reset {number}", max(0, before - IN_HAND)) <= before + IN_HAND
        assert time.monotonic() - began < PROMPTLY
    assert one.counts()["ready"] > MANY / 2, "the newsletters were still waiting"


def test_a_restart_with_a_hundred_thousand_waiting_jobs_keeps_it_fair(flooded):
    one, server = flooded
    with submission_of(one, SHOP) as client:
        assert "job" in client.ask(job(subject="reset"))
    with submission_of(one, GUEST) as client:
        assert "job" in client.ask(job(subject="invoice", queue="default", delay=0.01))
    one.kill()
    one.start()
    one.control.call("Resume")
    # Each of the three users has one turn in three; a third of what the workers take first may be newsletters.
    assert place(server, "reset") <= IN_HAND
    assert place(server, "invoice") <= IN_HAND
    with submission_of(one, SHOP) as client:
        assert "job" in client.ask(job(subject="another reset"))
    before = len(server.messages)
    assert place(server, "another reset", max(0, before - IN_HAND)) <= before + IN_HAND
    assert one.counts()["ready"] > MANY / 2


def test_users_who_all_have_many_share_evenly_however_many_each_has(maild, judge):
    server = judge()
    one = maild(workers=1, relay=server.settings(connections_max=1)).start()
    one.control.call("Pause")
    for user, count in ((BULK, 400), (SHOP, 90), (GUEST, 30)):
        with submission_of(one, user) as client:
            pour(client, line(job(subject=str(user))), count)
    one.control.call("Resume")
    server.wait_for_messages(90)
    first = subjects(server)[:90]
    assert {user: first.count(str(user)) for user in (BULK, SHOP, GUEST)} == {BULK: 30, SHOP: 30, GUEST: 30}
    rest = server.wait_for_messages(520) and subjects(server)[90:]
    assert rest[:120].count(str(BULK)) == 60, "of two users who are left each has half"


def test_two_queues_of_one_user_share_by_their_weights(maild, judge):
    server = judge()
    one = maild(
        workers=1, relay=server.settings(connections_max=1),
        queue={"transactional": {"weight": 3}, "bulk": {"weight": 1}}).start()
    one.control.call("Pause")
    with one.submission() as client:
        for queue in ("bulk", "transactional"):
            pour(client, line(job(subject=queue, queue=queue)), 200)
    one.control.call("Resume")
    server.wait_for_messages(400)
    first = subjects(server)[:100]
    assert abs(first.count("transactional") - 75) <= 1


def test_no_more_of_a_queue_run_at_a_time_than_it_may(maild, judge):
    server = judge(hold=True)
    one = maild(
        workers=WORKERS, relay=server.settings(connections_max=WORKERS, messages_per_connection_max=1),
        queue={"slow": {"concurrency_max": 2}}).start()
    with one.submission() as client:
        for number in range(20):
            assert "job" in client.ask(job(subject="slow", queue="slow", priority=9))
    server.wait_for_held(2)
    with one.submission() as client:
        for number in range(20):
            assert "job" in client.ask(job(subject="usual"))
    server.wait_for_held(WORKERS)
    held = [re.search(rb"Subject: (.*)\r\n", message.data)[1] for _, message in server.held]
    assert held.count(b"slow") == 2 and held.count(b"usual") == WORKERS - 2
    server.release()
    assert subjects_of(server.wait_for_messages(40)) == {"slow": 20, "usual": 20}


def subjects_of(messages):
    found = [re.search(rb"Subject: (.*)\r\n", message.data)[1].decode() for message in messages]
    return {subject: found.count(subject) for subject in set(found)}


def test_a_queue_that_no_configuration_names_is_refused_and_one_that_is_gone_keeps_its_jobs(maild, judge):
    server = judge()
    one = maild(relay=server.settings(), queue={"bulk": {"weight": 1}}).start()
    one.control.call("Pause")
    with one.submission() as client:
        assert client.ask(job(queue="news"))["field"] == "queue"
        assert "job" in client.ask(job(subject="kept", queue="bulk"))
    one.configure(relay=server.settings())
    one.restart()
    with one.submission() as client:
        assert client.ask(job(queue="bulk"))["field"] == "queue"
    one.control.call("Resume")
    assert place(server, "kept") == 0


def test_a_higher_priority_goes_before_whoever_else_waits(maild, judge):
    server = judge()
    one = maild(workers=1, relay=server.settings(connections_max=1), queue={"heavy": {"weight": 1000}}).start()
    one.control.call("Pause")
    with submission_of(one, BULK) as client:
        pour(client, line(job(subject="bulk", queue="heavy")), 50)
    with submission_of(one, SHOP) as client:
        pour(client, line(job(subject="urgent", priority=8)), 30)
        pour(client, line(job(subject="some day", priority=0)), 5)
    one.control.call("Resume")
    server.wait_for_messages(85)
    assert subjects(server) == ["urgent"] * 30 + ["bulk"] * 50 + ["some day"] * 5
