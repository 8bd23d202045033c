# maild, the mail-job daemon
# SPDX-License-Identifier: Apache-2.0
"""The submission socket as an app sees it when all goes well (docs/protocol.md, Submission)."""

import json
import re
import subprocess

from submission import job, line

ID = re.compile(r"[0-9A-HJKMNP-TV-Z]{13}")


def through_nc(maild, text):
    """What a shell gets that pipes `text` into nc."""
    finished = subprocess.run(
        ["nc", "-NU", str(maild.submit_path)], input=text, capture_output=True, timeout=60, check=True)
    return [json.loads(answer) for answer in finished.stdout.splitlines()]


def test_one_job_through_nc_gets_one_line_with_its_id(running):
    [answer] = through_nc(running, line(job()))
    assert answer.keys() == {"job", "state"}
    assert ID.fullmatch(answer["job"]) and answer["state"] == "ready"
    running.wait_for_state(answer["job"], "delivered")


def test_a_thousand_piped_lines_get_a_thousand_answers_in_order_with_rising_ids(running):
    answers = through_nc(running, b"".join(line(job(ref=f"order-{n}")) for n in range(1000)))
    assert [answer["ref"] for answer in answers] == [f"order-{n}" for n in range(1000)]
    ids = [answer["job"] for answer in answers]
    assert ids == sorted(set(ids)) and len(ids) == 1000
    assert {answer["state"] for answer in answers} == {"ready"}


def test_a_bad_line_among_a_thousand_costs_the_others_nothing(running):
    lines = [line(job(ref=str(n))) for n in range(1000)]
    lines[500] = b'{"to":"a@example.com",\n'
    lines[501] = line(job(ref="501", to="a@"))
    answers = through_nc(running, b"".join(lines))
    assert len(answers) == 1000
    assert answers[500]["error"] == "parse_error"
    assert answers[501]["error"] == "invalid_job" and answers[501]["ref"] == "501"
    good = answers[:500] + answers[502:]
    assert all("job" in answer for answer in good)
    assert [answer["ref"] for answer in good] == [str(n) for n in range(1000) if n not in (500, 501)]


def test_the_last_line_needs_no_newline(running):
    first, last = through_nc(running, line(job(ref="a")) + line(job(ref="b")).rstrip(b"\n"))
    assert (first["ref"], last["ref"]) == ("a", "b")
    assert "job" in last


def test_a_client_that_has_shut_its_writing_side_still_gets_all_answers_and_then_the_end(running):
    with running.submission() as client:
        answers = client.send(*(job(ref=str(n)) for n in range(300))).finish()
    assert [answer["ref"] for answer in answers] == [str(n) for n in range(300)]


def test_answers_come_without_the_end_of_the_connection(running):
    with running.submission() as client:
        for n in range(20):
            assert client.ask(job(ref=str(n)))["ref"] == str(n)


def test_blank_lines_are_skipped_and_a_cr_before_the_newline_is_white_space(running):
    text = b"\n\r\n  \n" + line(job(ref="x")).replace(b"\n", b"\r\n") + b"\n\n" + line(job(ref="y"))
    assert [answer["ref"] for answer in through_nc(running, text)] == ["x", "y"]


def test_a_line_may_arrive_byte_by_byte(running):
    with running.submission() as client:
        for byte in line(job(ref="slow")):
            client.socket.sendall(bytes([byte]))
        assert client.answer()["ref"] == "slow"


def test_a_client_that_leaves_before_its_answers_disturbs_nobody(running):
    for _ in range(20):
        with running.submission() as client:
            client.send(*(job() for _ in range(50)))
    with running.submission() as client:
        assert client.ask(job(ref="after"))["ref"] == "after"
    assert running.is_alive()


def test_a_job_for_later_is_scheduled_and_waits(running):
    with running.submission() as client:
        later = client.ask(job(delay=3600))
        past = client.ask(job(send_at="2020-01-01T00:00:00Z"))
        ahead = client.ask(job(send_at="2999-01-01T00:00:00+02:00", expires_at="2999-02-01T00:00:00Z"))
        zero = client.ask(job(delay=0))
    assert [later["state"], past["state"], ahead["state"], zero["state"]] == [
        "scheduled", "ready", "scheduled", "ready"]
    running.wait_for_state(past["job"], "delivered")
    assert running.show(later["job"])["job"]["state"] == "scheduled"


def test_higher_priority_goes_first_and_within_one_the_older_job(maild, judge):
    server = judge()
    one = maild(workers=1, relay=server.settings(connections_max=1)).start()
    one.control.call("Pause")
    with one.submission() as client:
        for name, priority in (("low", 0), ("first", 4), ("second", None), ("high", 9), ("third", 4)):
            assert "job" in client.ask(job(subject=name, priority=priority))
    one.control.call("Resume")
    subjects = [re.search(rb"Subject: (.*)\r\n", message.data)[1] for message in server.wait_for_messages(5)]
    assert subjects == [b"high", b"first", b"second", b"third", b"low"]


def test_a_quick_job_with_a_large_attachment_arrives_whole(running):
    data = "A" * (8 << 20)
    with running.submission() as client:
        answer = client.ask(job(attachments=[{"name": "a.bin", "data": data}]))
    assert "job" in answer
    running.wait_for_state(answer["job"], "delivered")
