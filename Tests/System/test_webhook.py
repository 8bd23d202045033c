# maild, the mail-job daemon
# SPDX-License-Identifier: Apache-2.0
"""Webhooks against a real HTTP server, well and badly behaved."""

import base64
import hashlib
import hmac
import json
import time

import pytest
from aio_server import CERTIFICATES
from http_server import DeafServer, HTTPServer
from submission import job
from waiting import free_port, until
from webhooks import QUICK, ask, attempts, hook, private, reply


@pytest.fixture
def open_maild(maild):
    """A maild that may go to loopback, and tries again at once."""
    def make(webhook=None, **settings):
        return maild(webhook={"allow_private": True} | (webhook or {}), retry=QUICK, **settings).start()
    return make


def test_the_json_goes_out_as_it_came(open_maild):
    with HTTPServer((200, {}, b"thanks\n")) as server:
        one = open_maild()
        line = (b'{"type":"webhook","url":"%s","ref":"r-1","headers":{"X-Team":"a b"},'
                b'"body":{ "b":1.50, "a":["\\u00fc", null] }}\n' % server.url("/T0/se-cret?x=1").encode())
        [name] = ask(one, line)
        shown = one.wait_for_state(name, "delivered")
        [asked] = server.asked
        assert (asked.method, asked.path) == ("POST", "/T0/se-cret?x=1")
        assert asked.body == b'{ "b":1.50, "a":["\\u00fc", null] }'
        assert asked.headers["content-type"] == "application/json"
        assert asked.headers["x-team"] == "a b" and asked.headers["idempotency-key"] == name
        assert asked.headers["host"] == f"127.0.0.1:{server.port}" and asked.headers["user-agent"].startswith("maild/")
        [attempt] = shown["history"]
        assert reply(attempt) == ("delivered", 200, "thanks")
        assert attempt["peer"] == f"127.0.0.1:{server.port}" and attempt["relay"] == "webhook"
        assert shown["job"]["kind"] == "webhook" and shown["job"]["ref"] == "r-1"
        assert shown["job"]["to"] == [f"http://127.0.0.1:{server.port}"], "the path may be a secret"
        page = one.mailctl("show", name).stdout
        assert "(webhook)" in page and "200 thanks" in page
        metrics = one.http("/metrics")[2]
        assert 'maild_jobs_completed_total{queue="default",type="webhook",outcome="delivered"} 1' in metrics
        assert f"{name} delivered" in one.log() and "by webhook: 200 thanks" in one.log()
        assert "se-cret" not in one.log() and "se-cret" not in page and "se-cret" not in metrics


def test_put_and_headers_of_ones_own(open_maild):
    with HTTPServer((204, {}, b"")) as server:
        one = open_maild()
        headers = {"content-type": "application/ld+json", "Authorization": "Bearer x"}
        [name] = ask(one, hook(server.url(), [1], method="PUT", headers=headers))
        one.wait_for_state(name, "delivered")
        [asked] = server.asked
        assert asked.method == "PUT" and asked.headers["content-type"] == "application/ld+json"
        assert asked.headers["authorization"] == "Bearer x"
        assert reply(attempts(one, name)[0])[2] == "No Content"


def test_retry_after_is_honoured(open_maild):
    with HTTPServer((429, {"Retry-After": "2"}, b"slow down"), (200, {}, b"ok")) as server:
        one = open_maild()
        [name] = ask(one, hook(server.url()))
        server.wait_for(1)
        until(lambda: one.show(name)["job"]["state"] == "scheduled", "it waits")
        one.wait_for_state(name, "delivered")
        first, second = server.wait_for(2)
        assert second.at - first.at >= 2
        assert [reply(attempt)[:2] for attempt in attempts(one, name)] == [("deferred", 429), ("delivered", 200)]
        assert first.headers["idempotency-key"] == second.headers["idempotency-key"] == name


def test_a_retry_after_beyond_the_expiry_ends_the_job(open_maild):
    with HTTPServer((503, {"Retry-After": "7200"}, b"")) as server:
        one = open_maild()
        soon = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 600))
        [name] = ask(one, hook(server.url(), expires_at=soon))
        one.wait_for_state(name, "failed")
        assert len(server.asked) == 1


def test_5xx_is_tried_again_and_4xx_is_final(open_maild):
    with HTTPServer((500, {}, b"oops"), (502, {}, b""), (200, {}, b"ok")) as server:
        one = open_maild()
        [name] = ask(one, hook(server.url()))
        one.wait_for_state(name, "delivered")
        assert [reply(attempt) for attempt in attempts(one, name)] == [
            ("deferred", 500, "oops"), ("deferred", 502, "Bad Gateway"), ("delivered", 200, "ok")]
    with HTTPServer((404, {}, b"no\x00 such\r\nteam")) as server:
        [name] = ask(one, hook(server.url()))
        one.wait_for_state(name, "failed")
        assert [reply(attempt) for attempt in attempts(one, name)] == [("rejected", 404, "no such team")]
        listed = one.mailctl("list", "--state", "failed").stdout
        assert "(webhook)" in listed and f"http://127.0.0.1:{server.port}" in listed and "404 no such team" in listed


def test_redirects_that_keep_the_request_are_followed(open_maild):
    with HTTPServer() as goal, HTTPServer() as server:
        server.answers = [(307, {"Location": "/there"}, b""), (308, {"Location": goal.url("/x")}, b"")]
        one = open_maild()
        [name] = ask(one, hook(server.url(), headers={"Authorization": "Bearer x", "X-Other": "y"}))
        one.wait_for_state(name, "delivered")
        [asked] = goal.asked
        assert asked.body == b'{"text": "hi"}' and asked.headers["x-other"] == "y"
        assert [each.path for each in server.asked] == ["/hook", "/there"]
        assert server.asked[1].headers["authorization"] == "Bearer x", "the same server"
        assert "authorization" not in asked.headers, "another server gets no proof that was meant for the first"


@pytest.mark.parametrize("status", [301, 302, 303])
def test_redirects_that_would_lose_the_request_are_not(open_maild, status):
    with HTTPServer((status, {"Location": "https://other.example/se-cret"}, b"")) as server:
        one = open_maild()
        [name] = ask(one, hook(server.url()))
        one.wait_for_state(name, "failed")
        assert reply(attempts(one, name)[0]) == (
            "rejected", status, "it redirects to https://other.example, which is not followed")


def test_a_circle_of_redirects_ends(open_maild):
    with HTTPServer((307, {"Location": "/hook"}, b"")) as server:
        one = open_maild()
        [name] = ask(one, hook(server.url()))
        one.wait_for_state(name, "failed")
        assert len(server.asked) == 6


def test_a_silent_server_is_given_up_and_the_outcome_is_unknown(open_maild):
    with HTTPServer() as server:
        server.answers = [server.hangs, (200, {}, b"ok")]
        one = open_maild(webhook={"seconds_max": 0.4})
        [name] = ask(one, hook(server.url()))
        one.wait_for_state(name, "delivered")
        first = attempts(one, name)[0]
        assert reply(first) == ("unknown", 0, f"no answer of http://127.0.0.1:{server.port} within 0.4 s")


def test_a_server_that_never_speaks_tls_is_given_up(open_maild):
    with DeafServer() as server:
        one = open_maild(webhook={"connect_seconds_max": 0.4})
        [name] = ask(one, hook(f"https://127.0.0.1:{server.port}/"))
        until(lambda: attempts(one, name), "a first attempt")
        verdict, _, text = reply(attempts(one, name)[0])
        assert verdict == "deferred" and "no connection within 0.4 s" in text


def test_a_server_that_is_away_is_tried_by_one_job_at_a_time(open_maild):
    port = free_port()
    one = open_maild()
    names = ask(one, *(hook(f"http://127.0.0.1:{port}/{n}") for n in range(20)))
    until(lambda: any(attempts(one, name) for name in names), "somebody has tried")
    until(lambda: "nothing comes about with" in one.log(), "the log says so")
    tries = [one.show(name)["job"]["attempts"] for name in names]
    assert sum(tries) < 10, "the others wait and use up no attempt"
    tried = next(name for name in names if attempts(one, name))
    assert "Connection refused" in reply(attempts(one, tried)[0])[2]
    assert 'maild_jobs_put_off_total{type="webhook"}' in one.http("/metrics")[2]


@pytest.mark.parametrize("raw, verdict, words", [
    (b"", "unknown", "lost the connection"), (b"HTTP/1.1 20", "unknown", "lost the connection"),
    (b"220 smtp.example ESMTP\r\n", "unknown", "what it says is no HTTP"),
    (b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\ncut", "delivered", "cut"),
    (b"HTTP/1.1 200 OK\r\n\r\nto the end", "delivered", "to the end"),
    (b"HTTP/1.1 503 No\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nlat", "deferred", "lat"),
])
def test_half_an_answer_counts_as_far_as_it_goes(open_maild, raw, verdict, words):
    with HTTPServer() as server:
        server.answers = [server.says(raw)] if raw else [server.closes]
        one = open_maild()
        [name] = ask(one, hook(server.url(), max_attempts=1))
        one.wait_for_state(name, "delivered", "failed")
        found, _, text = reply(attempts(one, name)[0])
        assert found == verdict and words in text


def test_a_huge_answer_is_neither_read_nor_kept(open_maild):
    def flood(handler):
        handler.send_response(200)
        handler.send_header("Transfer-Encoding", "chunked")
        handler.end_headers()
        for _ in range(4096):
            handler.wfile.write(b"10000\r\n" + b"x" * 65536 + b"\r\n")
        handler.close_connection = True

    with HTTPServer(flood) as server:
        one = open_maild()
        before = one.memory()
        names = ask(one, *(hook(server.url()) for _ in range(8)))
        for name in names:
            one.wait_for_state(name, "delivered")
        text = reply(attempts(one, names[0])[0])[2]
        assert text == "x" * 1024 + "…"
        assert one.memory("VmHWM") - before < 64 << 10


def test_connections_are_kept_and_one_that_died_meanwhile_costs_nothing(open_maild):
    with HTTPServer() as server:
        one = open_maild(workers=1)
        names = ask(one, *(hook(server.url()) for _ in range(10)))
        for name in names:
            one.wait_for_state(name, "delivered")
        assert server.connections == 1
        # The next answer takes the connection with it, without saying so.
        def last(handler):
            handler.answer(200, {}, b"ok")
            handler.wfile.flush()
            handler.close_connection = True
        server.answers = [last, (200, {}, b"ok")]
        names = ask(one, hook(server.url()), hook(server.url()))
        for name in names:
            shown = one.wait_for_state(name, "delivered")
            assert shown["job"]["attempts"] == 1
        assert server.connections == 2


def test_tls_is_verified(open_maild):
    with HTTPServer(certificate="server.pem") as server:
        one = open_maild()
        [name] = ask(one, hook(server.url(), max_attempts=1))
        one.wait_for_state(name, "failed")
        assert "not signed by an authority that is trusted here" in reply(attempts(one, name)[0])[2]
        assert server.asked == []
        one.configure(
            webhook={"allow_private": True, "tls_roots": CERTIFICATES / "authority.pem"}, retry=QUICK)
        assert one.mailctl("reload").returncode == 0
        [name] = ask(one, hook(server.url()))
        [attempt] = one.wait_for_state(name, "delivered")["history"]
        assert attempt["tls"] == "TLSv1.3" and "TLSv1.3" in one.mailctl("show", name).stdout
    with HTTPServer(certificate="expired.pem") as server:
        [name] = ask(one, hook(server.url(), max_attempts=1))
        one.wait_for_state(name, "failed")
        assert "its certificate has expired" in reply(attempts(one, name)[0])[2]


def test_named_hooks_have_their_url_and_secrets_in_files(maild, tmp_path):
    key = "whsec_" + base64.b64encode(b"0123456789abcdef").decode()
    with HTTPServer() as server:
        settings = {
            "allow_private": True,
            "chat": {"url_file": private(tmp_path / "url", server.url("/T0/se-cret") + "\n"),
                     "authorization_file": private(tmp_path / "token", "Bearer t0ken\n")},
            "ours": {"url": server.url("/ours/"), "secret_file": private(tmp_path / "key", key)},
            "git": {"url": server.url("/git"), "secret_file": tmp_path / "key", "signature": "github"}}
        one = maild(webhook=settings, retry=QUICK, log_level="debug").start()
        body = {"text": "it is on its way"}
        names = ask(
            one, {"type": "webhook", "hook": "chat", "body": body}, hook(server.url("/ours/x"), body),
            hook(server.url("/git"), body), hook(server.url("/gitlab"), body))
        shown = [one.wait_for_state(name, "delivered") for name in names]
        by_path = {asked.path: asked for asked in server.asked}
        chat, ours, git, other = (by_path[path] for path in ("/T0/se-cret", "/ours/x", "/git", "/gitlab"))
        assert chat.headers["authorization"] == "Bearer t0ken" and chat.json == body
        signed = f'{names[1]}.{ours.headers["webhook-timestamp"]}.'.encode() + ours.body
        code = base64.b64encode(hmac.new(b"0123456789abcdef", signed, hashlib.sha256).digest()).decode()
        assert ours.headers["webhook-signature"] == f"v1,{code}" and ours.headers["webhook-id"] == names[1]
        assert abs(int(ours.headers["webhook-timestamp"]) - time.time()) < 60
        code = hmac.new(key.encode(), git.body, hashlib.sha256).hexdigest()
        assert git.headers["x-hub-signature-256"] == f"sha256={code}"
        assert not any(name in other.headers for name in ("x-hub-signature-256", "webhook-signature", "authorization"))
        assert shown[0]["job"]["to"] == ["chat"] and shown[0]["history"][0]["relay"] == "chat"
    everything = one.log() + json.dumps(shown)
    assert not any(secret in everything for secret in ("se-cret", "t0ken", key))


def test_what_is_not_configured_is_not_taken(maild):
    one = maild().start()
    with one.submission() as client:
        answer = client.ask(hook("https://example.com/"))
        assert answer["error"] == "unknown_type" and 'no kind of job "webhook"' in answer["message"]
    one.configure(webhook={"allow_private": False})
    outcome = one.control.call("Reload")
    assert outcome["changed"] == [] and "webhook.allow_private" in outcome["restart_needed"]
    one.restart()
    with one.submission() as client:
        answer = client.ask({"type": "webhook", "hook": "chat", "body": 1})
        assert (answer["error"], answer["field"]) == ("invalid_job", "hook")
        assert client.ask(hook("http://user:pw@example.com/"))["field"] == "url"
        one.configure(webhook={"chat": {"url": "https://chat.example/"}})
        assert one.control.call("Reload")["changed"] == ["webhook.chat"]
        assert "job" in client.ask({"type": "webhook", "hook": "chat", "body": 1, "delay": 600})
        one.configure()
        assert "webhook.chat" in one.control.call("Reload")["restart_needed"]
        assert client.ask(hook("https://example.com/"))["error"] == "unknown_type"


def test_a_hook_that_is_gone_leaves_its_jobs_waiting(maild):
    with HTTPServer() as server:
        chat = {"chat": {"url": server.url()}}
        one = maild(webhook={"allow_private": True} | chat, retry=QUICK).start()
        [name] = ask(one, {"type": "webhook", "hook": "chat", "body": 1, "delay": 0.5})
        one.configure(webhook={"allow_private": True}, retry=QUICK)
        one.control.call("Reload")
        until(lambda: 'put_off_total{type="webhook"} 1' in one.http("/metrics")[2], "it was put off")
        assert one.show(name)["job"]["attempts"] == 0 and server.asked == []


def test_webhooks_that_hang_hold_up_no_mail(open_maild):
    with HTTPServer() as server:
        server.answers = [server.hangs]
        one = open_maild(workers=4)
        ask(one, *(hook(server.url(f"/{n}")) for n in range(40)))
        server.wait_for(1)
        names = ask(one, *(job() for _ in range(20)))
        for name in names:
            one.wait_for_state(name, "delivered")
        assert len(server.asked) <= 2, "half of the workers"


def test_a_stop_waits_for_the_answer_that_is_on_its_way(open_maild):
    with HTTPServer() as server:
        def slowly(handler):
            server.hanging.wait(10)
            handler.answer(200, {}, b"ok")

        server.answers = [slowly]
        one = open_maild()
        [name] = ask(one, hook(server.url()))
        server.wait_for(1)
        one.process.terminate()
        one.notices.wait_for("STOPPING=1", alive=lambda: True)
        server.hanging.set()
        assert one.process.wait(20) == 0
        one.start()
        assert one.show(name)["job"]["state"] == "delivered" and len(server.asked) == 1
