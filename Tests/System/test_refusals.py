# maild, the mail-job daemon
# SPDX-License-Identifier: Apache-2.0
"""Every error of docs/protocol.md that a client can cause, and that it costs the connection's other lines nothing."""

import resource
import signal

import pytest
from maild import Maild
from submission import job, line
from waiting import until

DEEP = b'{"to":' + b"[" * 65 + b"]" * 65 + b"}\n"


def refusal(maild, request):
    """The answer to `request`, which stands between two good jobs on one connection."""
    with maild.submission() as client:
        before, answer, after = client.send(job(ref="before"), request, job(ref="after")).answers(3)
    assert before.get("ref") == "before" and "job" in before
    assert after.get("ref") == "after" and "job" in after
    assert "job" not in answer and answer["message"]
    assert isinstance(answer["retryable"], bool)
    return answer


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    """One maild for all errors that need no configuration of their own."""
    one = Maild(tmp_path_factory.mktemp("errors")).start()
    yield one
    one.clean_up()


NOT_JSON = {
    "nothing but a brace": b"{\n",
    "a list": b"[]\n",
    "a string": b'"to"\n',
    "a word": b"hello\n",
    "a number": b"1\n",
    "something after the object": line(job()).rstrip(b"\n") + b" x\n",
    "two objects": line(job()).rstrip(b"\n") * 2 + b"\n",
    "a comma too many": b'{"to":"a@example.com",}\n',
    "single quotes": b"{'to':'a@example.com'}\n",
    "a duplicate key": b'{"to":"a@example.com","to":"b@example.com","from":"c@example.com"}\n',
    "a duplicate key in other letters": b'{"to":"a@example.com","\\u0074o":"b@example.com","from":"c@example.com"}\n',
    "a duplicate key inside": b'{"headers":{"X-A":"1","X-A":"2"},"to":"a@example.com","from":"c@example.com"}\n',
    "depth over 64": DEEP,
    "invalid UTF-8": b'{"to":"a@example.com","from":"c@example.com","subject":"\xff"}\n',
    "an overlong UTF-8 form": b'{"to":"a@example.com","from":"c@example.com","subject":"\xc0\xaf"}\n',
    "a raw control character": b'{"to":"a@example.com","from":"c@example.com","subject":"a\x01b"}\n',
    "half a surrogate pair": b'{"to":"a@example.com","from":"c@example.com","subject":"\\ud800"}\n',
    "a NUL": b'{"to":"a@example.com"\0}\n',
    "a number with a leading zero": b'{"to":"a@example.com","from":"c@example.com","priority":04}\n',
}


@pytest.mark.parametrize("text", NOT_JSON.values(), ids=NOT_JSON.keys())
def test_what_is_not_one_json_object_is_a_parse_error(shared, text):
    answer = refusal(shared, text)
    assert answer["error"] == "parse_error" and answer["retryable"] is False


IMPOSSIBLE = [
    ("sent_at", {"sent_at": "2030-01-01T00:00:00Z"}),
    ("To", {"To": "a@example.com"}),
    ("from", {"from": None}),
    ("from", {"from": ""}),
    ("from", {"from": ["a@example.com"]}),
    ("from", {"from": "nobody"}),
    ("to", {"to": None}),
    ("to", {"to": []}),
    ("to", {"to": 5}),
    ("to", {"to": "a@"}),
    ("to", {"to": "@example.com"}),
    ("to", {"to": "a b@example.com"}),
    ("to", {"to": ["a@example.com", "b"]}),
    ("to", {"to": "a" * 65 + "@example.com"}),
    ("to", {"to": "a@" + "b" * 64 + ".example"}),
    ("cc", {"cc": "a@"}),
    ("bcc", {"bcc": "a@"}),
    ("reply_to", {"reply_to": "a@"}),
    ("to", {"to": [f"u{n}@example.com" for n in range(1001)]}),
    ("subject", {"subject": 5}),
    ("content", {"content": ["a"]}),
    ("html", {"html": 1}),
    ("type", {"type": 5}),
    ("ref", {"ref": 17}),
    ("ref", {"ref": "x" * 257}),
    ("priority", {"priority": 10}),
    ("priority", {"priority": -1}),
    ("priority", {"priority": 4.5}),
    ("priority", {"priority": "4"}),
    ("send_at", {"send_at": "tomorrow"}),
    ("send_at", {"send_at": "2030-01-01T00:00:00"}),
    ("send_at", {"send_at": "2030-02-30T00:00:00Z"}),
    ("send_at", {"send_at": 1900000000}),
    ("delay", {"delay": -1}),
    ("delay", {"delay": 31536001}),
    ("delay", {"delay": "60"}),
    (("delay", "send_at"), {"delay": 5, "send_at": "2030-01-01T00:00:00Z"}),
    ("expires_at", {"expires_at": "never"}),
    ("max_attempts", {"max_attempts": 0}),
    ("max_attempts", {"max_attempts": 1001}),
    ("headers", {"headers": ["X-A: b"]}),
    ("headers", {"headers": {"X-A": 5}}),
    ("headers", {"headers": {"Subject": "other"}}),
    ("headers", {"headers": {"subject": "other"}}),
    ("headers", {"headers": {"Content-Type": "text/html"}}),
    ("headers", {"headers": {"Received": "from me"}}),
    ("headers", {"headers": {"Bcc": "z@example.com"}}),
    ("headers", {"headers": {"DKIM-Signature": "v=1"}}),
    ("headers", {"headers": {"X A": "b"}}),
    ("headers", {"headers": {"X:A": "b"}}),
    ("headers", {"headers": {"": "b"}}),
    ("headers", {"headers": {f"X-{n}": "v" for n in range(101)}}),
    ("attachments", {"attachments": {"name": "a"}}),
    ("attachments", {"attachments": [{"name": "a", "data": "***"}]}),
    ("attachments", {"attachments": [{"name": "a", "data": "QQ==", "size": 1}]}),
    ("envelope", {"raw": "Subject: x\r\n\r\ny", "to": None, "subject": None, "content": None}),
    (("raw", "subject"), {"raw": "Subject: x\r\n\r\ny", "envelope": {"from": "", "to": ["a@example.com"]}, "to": None,
                          "content": None}),
    ("envelope", {"envelope": {"to": ["a@example.com"], "form": "a@example.com"}}),
    ("envelope", {"envelope": {"from": "a@", "to": ["a@example.com"]}}),
    ("envelope", {"envelope": {"from": "", "to": []}}),
]


@pytest.mark.parametrize("field, fields", IMPOSSIBLE, ids=[f"{field}-{n}" for n, (field, _) in enumerate(IMPOSSIBLE)])
def test_a_field_that_is_unknown_missing_or_impossible_is_named(shared, field, fields):
    answer = refusal(shared, job(**fields))
    assert answer["error"] == "invalid_job" and answer["retryable"] is False
    names = field if isinstance(field, tuple) else (field,)
    assert answer["field"].split(".")[0].split("[")[0] in names, answer


INJECTIONS = {
    "subject": {"subject": "hi\r\nBcc: z@example.com"},
    "subject with a lone LF": {"subject": "hi\nBcc: z@example.com"},
    "subject with a lone CR": {"subject": "hi\rBcc: z@example.com"},
    "subject with a NUL": {"subject": "hi\0there"},
    "from": {"from": "app@example.org>\r\nRCPT TO:<z@example.com"},
    "from, the name": {"from": "App\r\nBcc: z@example.com <app@example.org>"},
    "to": {"to": "a@example.com\r\nRCPT TO:<z@example.com>"},
    "to, a list": {"to": ["a@example.com\nDATA"]},
    "cc": {"cc": "a@example.com\r\n"},
    "bcc": {"bcc": "a@example.com\0"},
    "reply_to": {"reply_to": "R\r\nX: y <r@example.com>"},
    "headers, a value": {"headers": {"X-A": "b\r\nBcc: z@example.com"}},
    "headers, a value with a lone LF": {"headers": {"X-A": "b\nBcc: z@example.com"}},
    "headers, a value with a NUL": {"headers": {"X-A": "b\0"}},
    "headers, a name": {"headers": {"X-A: b\r\nBcc": "z@example.com"}},
    "attachments, a name": {"attachments": [{"name": "a\r\nX: y", "data": "QQ=="}]},
    "attachments, a content type": {"attachments": [{"name": "a", "content_type": "a/b\r\nX: y", "data": "QQ=="}]},
    "attachments, a cid": {"attachments": [{"name": "a", "cid": "a\r\nX: y", "data": "QQ=="}]},
    "envelope, the sender": {"envelope": {"from": "a@example.com>\r\nRCPT TO:<z@example.com", "to": ["a@example.com"]}},
    "envelope, a recipient": {"envelope": {"from": "", "to": ["a@example.com>\r\nRCPT TO:<z@example.com"]}},
}


@pytest.mark.parametrize("name", INJECTIONS)
def test_cr_lf_and_nul_reach_no_header_and_no_smtp_command(shared, name):
    answer = refusal(shared, job(ref="evil", **INJECTIONS[name]))
    assert answer["error"] == "invalid_job" and answer["ref"] == "evil"
    assert answer["field"].split(".")[0].split("[")[0] == name.split(",")[0].split(" ")[0]


def test_a_kind_of_job_that_is_not_there_is_an_unknown_type(shared):
    answer = refusal(shared, job(type="fax", ref="f"))
    assert answer["error"] == "unknown_type" and answer["ref"] == "f" and answer["retryable"] is False


def test_a_line_that_is_too_long_is_skipped_up_to_its_newline(maild):
    one = maild(limits={"line_bytes_max": 2048}).start()
    with one.submission() as client:
        client.send(job(content="x" * 1900), job(content="x" * 3000), job(ref="next"), b"x" * 1_000_000 + b"\n")
        fits, long, follows, huge = client.send(job(ref="last")).answers(4)
        assert client.answer()["ref"] == "last"
    assert "job" in fits and follows["ref"] == "next"
    assert long["error"] == huge["error"] == "line_too_long" and long["retryable"] is False


def test_a_line_of_exactly_the_limit_fits(maild):
    one = maild(limits={"line_bytes_max": 2048}).start()
    exact = line(job(content="x" * (2048 - len(line(job(content=""))) + 1)))
    assert len(exact) == 2049  # the newline does not count
    with one.submission() as client:
        assert "job" in client.ask(exact)


def test_a_line_that_stops_in_the_middle_is_a_timeout_and_ends_the_connection(maild):
    one = maild(limits={"line_seconds_max": 0.5}).start()
    with one.submission() as stopped, one.submission() as silent:
        assert "job" in silent.ask(job())
        good, late = stopped.send(job(ref="good"), b'{"to":"a@exam').answers(2)
        assert good["ref"] == "good"
        assert late["error"] == "timeout" and stopped.answer() is None
        # A connection that is silent between its lines is kept, for longer than a line may take.
        assert "job" in silent.ask(job())


def test_more_connections_than_one_user_may_have_are_answered_and_closed(maild):
    one = maild(limits={"connections_per_user_max": 3}).start()
    kept = [one.submission() for _ in range(3)]
    assert all("job" in client.ask(job()) for client in kept)
    with one.submission() as client:
        answer = client.answer()
        assert answer["error"] == "quota_exceeded" and answer["retryable"] is True
        assert client.answer() is None
    kept.pop().close()
    assert "job" in kept[0].ask(job())

    def admitted():
        with one.submission() as client:
            return "job" in client.ask(job())
    until(admitted, "a connection is admitted again")
    for client in kept:
        client.close()


def test_over_connections_max_new_connections_wait_in_the_socket_and_are_answered_later(maild):
    one = maild(limits={"connections_max": 2}).start()
    first, second, third = one.submission(), one.submission(), one.submission()
    assert "job" in first.ask(job()) and "job" in second.ask(job())
    third.send(job(ref="third"))
    assert "job" in second.ask(job())  # A whole round trip later the third has still no answer.
    third.socket.setblocking(False)
    with pytest.raises(BlockingIOError):
        third.socket.recv(1)
    third.socket.settimeout(20)
    first.close()
    assert third.answer()["ref"] == "third"
    second.close(), third.close()


def test_a_full_queue_refuses_and_takes_again_when_there_is_room(maild, judge):
    server = judge()
    one = maild(spool={"jobs_max": 3}, relay=server.settings()).start()
    one.control.call("Pause")
    with one.submission() as client:
        assert all("job" in client.ask(job()) for _ in range(3))
        full = client.ask(job(ref="fourth"))
        assert full["error"] == "queue_full" and full["retryable"] is True and full["ref"] == "fourth"
        assert full["retry_after"] > 0
        one.control.call("Resume")
        server.wait_for_messages(3)
        one.wait_for_counts(ready=0, running=0)
        assert "job" in client.ask(job())


def test_a_queue_that_is_full_by_bytes_refuses_too(maild):
    one = maild(spool={"bytes_max": 1 << 20}).start()
    one.control.call("Pause")
    with one.submission() as client:
        answers = [client.ask(job(content="x" * 60_000)) for _ in range(40)]
    assert "job" in answers[0] and answers[-1]["error"] == "queue_full"
    taken = sum("job" in answer for answer in answers)
    assert one.counts()["ready"] == taken


def test_while_maild_stops_a_job_is_refused_as_draining(maild, judge):
    server = judge(hold=True)
    one = maild(relay=server.settings()).start()
    with one.submission() as client:
        assert "job" in client.ask(job())
        server.wait_for_held(1)
        one.process.send_signal(signal.SIGTERM)
        one.notices.wait_for("STOPPING=1")
        answer = client.ask(job(ref="late"))
        assert answer["error"] == "draining" and answer["retryable"] is True and answer["ref"] == "late"
    server.release()
    assert one.process.wait(20) == 0


def test_a_disk_that_refuses_writes_makes_maild_read_only_until_it_takes_them_again(maild):
    one = maild()
    one.spawn(restore_signals=False)  # Python ignores SIGXFSZ, and so will maild: write(2) fails as on a full disk.
    one.notices.wait_for("READY=1", alive=one.is_alive)
    one.control.call("Pause")
    with one.submission() as client:
        before = client.ask(job())["job"]
        now = one.directory.joinpath("spool.db-wal").stat().st_size
        resource.prlimit(one.pid, resource.RLIMIT_FSIZE, (now + (1 << 20), resource.RLIM_INFINITY))
        answers = [client.ask(job(content="x" * 60_000)) for _ in range(200)]
        refused = [answer for answer in answers if "error" in answer]
        assert refused and {answer["error"] for answer in refused} == {"read_only"}
        assert all(answer["retryable"] is True and answer["retry_after"] > 0 for answer in refused)
        taken = [before] + [answer["job"] for answer in answers if "job" in answer]
        resource.prlimit(one.pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))

        def writable_again():
            answer = client.ask(job())
            return answer.get("job")
        taken.append(until(writable_again, "maild takes jobs again"))
    one.control.call("Resume")
    for identifier in taken:
        one.wait_for_state(identifier, "delivered")
