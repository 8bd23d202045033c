# maild, the mail-job daemon
# SPDX-License-Identifier: Apache-2.0
"""A line that is sent again is the same job (docs/protocol.md, idempotency_key)."""

import threading

from submission import job
from users import BULK, SHOP, submission_of


def keyed(key="order-17", **fields):
    return job(idempotency_key=key, **fields)


def test_a_repeat_is_answered_with_the_first_job_whatever_the_order_of_its_members(running):
    running.control.call("Pause")
    with running.submission() as client:
        first = client.ask(keyed(ref="a"))
        again = client.ask(dict(reversed(keyed(ref="a").items())))
        assert again == {"job": first["job"], "state": "ready", "duplicate": True, "ref": "a"}
        assert client.ask(keyed(key="order-18", ref="a"))["job"] != first["job"]
        assert "duplicate" not in first
    assert running.counts()["ready"] == 2


def test_the_same_key_on_another_submission_is_a_conflict_and_names_the_job(running):
    running.control.call("Pause")
    with running.submission() as client:
        first = client.ask(keyed())
        for other in (keyed(content="other"), keyed(priority=5), keyed(ref="r"), keyed(delay=60)):
            answer = client.ask(other)
            assert answer["error"] == "conflict" and answer["field"] == "idempotency_key"
            assert first["job"] in answer["message"] and not answer["retryable"]
        assert client.ask(keyed())["duplicate"] is True
    assert running.counts()["ready"] == 1


def test_a_repeat_after_delivery_says_delivered_and_sends_nothing(maild, judge):
    server = judge()
    one = maild(relay=server.settings()).start()
    with one.submission() as client:
        first = client.ask(keyed())
        one.wait_for_state(first["job"], "delivered")
        assert client.ask(keyed()) == {"job": first["job"], "state": "delivered", "duplicate": True}
        last = client.ask(job(subject="last"))
        one.wait_for_state(last["job"], "delivered")
    assert len(server.messages) == 2


def test_keys_outlive_a_restart_and_a_kill(running):
    running.control.call("Pause")
    with running.submission() as client:
        first = client.ask(keyed())
    running.restart()
    with running.submission() as client:
        assert client.ask(keyed())["job"] == first["job"]
    running.kill()
    running.start()
    with running.submission() as client:
        assert client.ask(keyed())["job"] == first["job"]
    assert running.counts()["ready"] == 1


def test_a_repeat_within_one_pipelined_batch_is_known_and_so_is_a_conflict(running):
    running.control.call("Pause")
    with running.submission() as client:
        answers = client.send(
            keyed(ref="r"), job(), keyed(ref="r"), keyed(content="other"), {"to": 5}, keyed(ref="r"), job()).finish()
    jobs = [answer.get("job") for answer in answers]
    assert jobs[0] == jobs[2] == jobs[5] and len({jobs[0], jobs[1], jobs[6]}) == 3
    assert [answer.get("error") for answer in answers] == [None, None, None, "conflict", "invalid_job", None, None]
    assert [answer.get("duplicate", False) for answer in answers] == [False, False, True, False, False, True, False]
    assert running.counts()["ready"] == 3


def test_of_many_connections_that_send_the_same_at_once_one_makes_the_job(running):
    running.control.call("Pause")
    clients = [running.submission() for _ in range(40)]
    together = threading.Barrier(len(clients))
    answers = []

    def ask(client):
        together.wait()
        for number in range(20):
            answers.append((number, client.ask(keyed(key=f"k{number}"))))
        client.close()

    threads = [threading.Thread(target=ask, args=(client,)) for client in clients]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for number in range(20):
        of_key = [answer for key, answer in answers if key == number]
        assert len(of_key) == 40 and len({answer["job"] for answer in of_key}) == 1
        assert sum("duplicate" not in answer for answer in of_key) == 1
    assert running.counts()["ready"] == 20


def test_the_same_key_of_another_user_is_another_job(running):
    running.control.call("Pause")
    with submission_of(running, BULK) as one, submission_of(running, SHOP) as other:
        first, second = one.ask(keyed()), other.ask(keyed(content="other"))
        assert first["job"] != second["job"] and "duplicate" not in second
        assert one.ask(keyed())["job"] == first["job"]
        assert other.ask(keyed(content="other"))["job"] == second["job"]


def test_a_client_that_lost_its_connection_sends_again_and_has_one_job(running):
    """Whether the kill comes before or after the commit, the repeat is right."""
    running.control.call("Pause")
    running.restart()
    for number in range(6):
        with running.submission() as client:
            client.send(*(keyed(key=f"{number}-{each}") for each in range(200)))
            if number % 2:
                client.answer()
            running.kill()
        running.start()
        with running.submission() as client:
            again = client.send(*(keyed(key=f"{number}-{each}") for each in range(200))).finish()
        assert len({answer["job"] for answer in again}) == 200
    assert running.counts()["ready"] == 1200
