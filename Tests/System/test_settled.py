# maild, the mail-job daemon
# SPDX-License-Identifier: Apache-2.0
"""Lines with "wait":"settled": their answer says what became of the job."""

import threading

from smtp_judge import to_recipients
from submission import job
from waiting import until


def settled(**fields):
    return job(wait="settled", **fields)


def relay(server):
    return {"main": {"host": "127.0.0.1", "port": server.port}}


def test_the_answer_says_what_became_of_each_recipient(maild, judge):
    server = judge(script=to_recipients({"b@example.com": "550 5.1.1 no such user"}))
    one = maild(relay=relay(server)).start()
    with one.submission() as app:
        good = app.ask(settled(ref="r"))
        assert good == {"job": good["job"], "state": "delivered", "ref": "r", "recipients": [
            {"to": "a@example.com", "verdict": "delivered", "code": 250, "enhanced": "2.0.0", "text": "taken"}]}
        bad = app.ask(settled(to=["a@example.com", "b@example.com"]))
        assert bad["state"] == "failed"
        assert bad["recipients"][1] == {
            "to": "b@example.com", "verdict": "rejected", "code": 550, "enhanced": "5.1.1", "text": "no such user"}
        assert one.show(good["job"])["job"]["state"] == "delivered", "it is on disk by then"


def test_answers_stay_in_order_and_what_stands_behind_is_delivered_meanwhile(maild, judge):
    server = judge(hold=True)
    one = maild(relay=relay(server)).start()
    with one.submission() as app:
        app.send(job(ref="1"), settled(ref="2"), job(ref="3"), b"nonsense\n", settled(ref="5"), job(ref="6"))
        assert app.answer()["ref"] == "1"
        server.wait_for_held(5)
        server.release()
        answers = app.answers(5)
    assert [answer.get("ref") for answer in answers] == ["2", "3", None, "5", "6"]
    assert [answer.get("state") for answer in answers] == ["delivered", "ready", None, "delivered", "ready"]
    assert answers[2]["error"] == "parse_error"


def test_an_attempt_that_is_put_off_is_no_outcome(maild, judge):
    replies = {"a@example.com": "451 4.7.1 later"}
    server = judge(script=to_recipients(replies))
    one = maild(relay=relay(server), retry={"first_seconds": 0.05, "wait_seconds_max": 0.1}).start()
    with one.submission() as app:
        app.send(settled(to=["a@example.com", "c@example.com"]))
        until(lambda: one.log().count("deferred") >= 2, "it was tried twice")
        replies.clear()
        answer = app.answer()
    assert answer["state"] == "delivered"
    assert [fate["verdict"] for fate in answer["recipients"]] == ["delivered", "delivered"]


def test_a_repeat_of_what_has_ended_is_answered_with_its_end_at_once(maild):
    one = maild().start()
    with one.submission() as app:
        first = app.ask(settled(idempotency_key="k"))
        again = app.ask(settled(idempotency_key="k"))
        assert again == first | {"duplicate": True}
        one.mailctl("pause")
        waiting = app.ask(job(idempotency_key="l"))["job"]
        app.send(settled(idempotency_key="l"))
        one.mailctl("resume")
        answer = app.answer()
        assert (answer["job"], answer["state"], answer["duplicate"]) == (waiting, "delivered", True)


def test_operators_end_the_wait_too(maild):
    one = maild().start()
    one.mailctl("pause")
    with one.submission() as app:
        for verb, arguments in (("cancel", []), ("purge", ["--yes", "--state", "ready"])):
            app.send(settled())
            one.wait_for_counts(ready=1)
            assert one.mailctl(verb, *(arguments or ["--all"])).returncode == 0
            answer = app.answer()
            assert answer["state"] == "cancelled" and answer["recipients"] == []


def test_a_client_that_goes_away_costs_nothing(maild, judge):
    server = judge(hold=True)
    one = maild(relay=relay(server)).start()
    gone = one.submission()
    gone.send(settled(), settled())
    server.wait_for_held(2)
    gone.close()
    server.release()
    one.wait_for_counts(ready=0, running=0)
    assert len(server.messages) == 2
    with one.submission() as app:
        assert app.ask(settled())["state"] == "delivered"


def test_who_shuts_down_its_writing_side_still_hears_the_outcome(maild, judge):
    server = judge(hold=True)
    one = maild(relay=relay(server)).start()
    with one.submission() as app:
        app.send(settled())
        app.socket.shutdown(1)
        server.wait_for_held(1)
        server.release()
        assert app.answer()["state"] == "delivered"
        assert app.answer() is None


def test_when_maild_stops_the_line_is_answered_with_how_the_job_stands(maild):
    one = maild().start()
    one.mailctl("pause")
    with one.submission() as app:
        app.send(settled(ref="x"), settled(delay=3600))
        one.wait_for_counts(ready=1, scheduled=1)
        stopping = threading.Thread(target=one.stop)
        stopping.start()
        answers = app.answers(2)
        stopping.join()
    assert [answer["state"] for answer in answers] == ["ready", "scheduled"]
    assert answers[0]["ref"] == "x" and answers[0]["recipients"] == []
    one.start()
    one.wait_for_counts(ready=1, scheduled=1)
