# maild, the mail-job daemon
# SPDX-License-Identifier: Apache-2.0
"""Bounce messages (RFC 3464): a failure is told to the envelope's sender, by a job of its own, once; never one that has
none (RFC 5321 §6.1)."""

import datetime
import re
import subprocess
import sys
from pathlib import Path

import pytest
from smtp_judge import DROP, to_recipients
from submission import job
from waiting import until

sys.path.append(str(Path(__file__).resolve().parents[1] / "MailMessageTests"))
import report_judge  # noqa: E402

QUICK = {"first_seconds": 0.05, "wait_seconds_max": 0.1}
BAD = {"b@example.com": "550 5.1.1 no such user", "c@example.com": "451 4.7.1 come back later"}


def bounce(**fields):
    return job(bounce=True, **{"from": "app@example.org"} | fields)


def bounces(server):
    return [message for message in server.messages if message.sender == ""]


def judged(message):
    offences, about, recipients, parts = report_judge.judge(message.data)
    assert offences == []
    return about, recipients, parts


def note(history, event):
    return next(entry for entry in history if entry["event"] == event)


def metric(maild, name):
    found = re.search(rf'^{name}{{type="email"}} (\d+)$', maild.http("/metrics")[2], re.MULTILINE)
    return int(found[1])


def test_the_sender_is_told_once_of_all_who_got_nothing(maild, judge):
    server = judge(script=to_recipients(BAD))
    one = maild(relay=server.settings(), retry=QUICK).start()
    to = ["a@example.com", "b@example.com", "c@example.com"]
    with one.submission() as app:
        failed = app.ask(bounce(to=to, subject="Grüße", max_attempts=2, dsn={"envid": "order 17"}))["job"]
    one.wait_for_state(failed, "failed")
    until(lambda: bounces(server), "the bounce has come")
    one.wait_for_counts(ready=0, scheduled=0, running=0, failed=1)
    [message] = bounces(server)
    assert message.recipients == ["app@example.org"]
    about, recipients, parts = judged(message)
    assert about["Reporting-MTA"] == "dns; client.example" and about["Original-Envelope-Id"] == "order 17"
    fates = [(fate["Final-Recipient"], fate["Status"], fate["Diagnostic-Code"]) for fate in recipients]
    assert fates == [
        ("rfc822; b@example.com", "5.1.1", "smtp; 550 5.1.1 no such user"),
        ("rfc822; c@example.com", "4.7.1", "smtp; 451 4.7.1 come back later")]
    assert all(fate["Remote-MTA"] == "dns; [127.0.0.1]" and fate["Last-Attempt-Date"] for fate in recipients)
    assert "<b@example.com>" in parts[0].get_content() and failed in parts[0].get_content()
    assert f"Message-ID: <{failed}@client.example>" in parts[2].get_content()
    # Each of the two jobs names the other, and both the journal and the numbers have it.
    report = note(one.show(failed)["history"], "reported")["report"]
    told = one.show(report)
    assert note(told["history"], "reports")["failed"] == failed and told["job"]["state"] == "delivered"
    assert message.message_id == f"<{report}@client.example>"
    assert f"reported to the sender by {report}" in one.mailctl("show", failed).stdout
    shown = one.mailctl("show", report).stdout
    assert f"reports to the sender the failure of {failed}" in shown and re.search(r"^From +<>$", shown, re.MULTILINE)
    assert f"{failed} is reported to its sender by {report}" in one.log()
    assert metric(one, "maild_jobs_reported_total") == 1
    assert server.faults == []


def test_nobody_is_told_who_did_not_ask_or_asked_not_to_be(maild, judge):
    server = judge(script=to_recipients(BAD))
    one = maild(relay=server.settings()).start()
    with one.submission() as app:
        jobs = [app.ask(line)["job"] for line in (
            job(to=["b@example.com"]),
            bounce(to=["b@example.com"], dsn={"notify": "never"}),
            bounce(to=["b@example.com"], dsn={"notify": ["success", "delay"]}),
            job(to=["b@example.com"], envelope={"from": ""}))]
        refused = app.ask(bounce(envelope={"from": ""}))
        assert (refused["error"], refused["field"]) == ("invalid_job", "bounce")
        assert app.ask(job(bounce="yes"))["field"] == "bounce"
    for each in jobs:
        history = one.wait_for_state(each, "failed")["history"]
        assert [entry["event"] for entry in history] == ["attempt"]
    assert one.counts()["failed"] == len(jobs) and bounces(server) == []


def test_a_bounce_that_fails_is_not_bounced(maild, judge):
    server = judge(script=to_recipients(BAD | {"app@example.org": "550 5.1.1 gone"}))
    one = maild(relay=server.settings(), bounces={"by_default": True}).start()
    with one.submission() as app:
        failed = app.ask(job(to=["b@example.com"], **{"from": "app@example.org"}))["job"]
    report = note(one.wait_for_state(failed, "failed")["history"], "reported")["report"]
    history = one.wait_for_state(report, "failed")["history"]
    assert [entry["event"] for entry in history] == ["reports", "attempt"]
    assert one.counts()["failed"] == 2 and metric(one, "maild_jobs_reported_total") == 1


def test_the_configuration_decides_for_those_who_do_not_say_and_a_reload_changes_it(maild, judge):
    server = judge(script=to_recipients(BAD))
    one = maild(relay=server.settings()).start()
    one.configure(relay=server.settings(), bounces={
        "by_default": True, "from": "Post <postmaster@example.org>", "return": "full"})
    assert "bounces.by_default" in one.mailctl("reload").stdout
    with one.submission() as app:
        app.ask(job(to=["b@example.com"], content="the text", **{"from": "app@example.org"}))
        app.ask(job(to=["b@example.com"], content="the text", dsn={"ret": "headers"}))
        app.ask(job(to=["b@example.com"], bounce=False))
    until(lambda: len(bounces(server)) == 2, "two bounces")
    one.wait_for_counts(ready=0, scheduled=0, running=0, failed=3)
    whole, header = sorted(bounces(server), key=lambda message: b"message/rfc822" not in message.data)
    assert b"From: Post <postmaster@example.org>\r\n" in whole.data
    returned = judged(whole)[2][2].get_payload()[0]
    assert returned["From"] == "app@example.org" and returned.get_content() == "the text\r\n"
    assert "the text" not in judged(header)[2][2].get_content()


def test_a_job_whose_time_is_over_is_told_of_too(maild, judge):
    away = judge()
    away.stop()
    server = judge()
    relays = {"away": {"host": "127.0.0.1", "port": away.port}, "judge": {"host": "127.0.0.1", "port": server.port}}
    one = maild(relay=relays, default_relay="judge", route=[{"recipient_domain": "away.example", "relays": "away"}])
    one.start()
    with one.submission() as app:
        gone = app.ask(bounce(to=["a@away.example"], expires_at=in_seconds(2)))["job"]
    until(lambda: bounces(server), "the bounce has come")
    _, [fate], parts = judged(bounces(server)[0])
    assert fate["Final-Recipient"] == "rfc822; a@away.example" and fate["Status"] == "4.4.7"
    assert "Diagnostic-Code" not in fate
    assert "before anything could be tried" in parts[0].get_content()
    shown = one.show(gone)
    assert shown["job"]["state"] == "expired" and note(shown["history"], "reported")["report"]


def in_seconds(seconds):
    return (datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=seconds)).isoformat()


def test_it_is_signed_by_the_domain_it_comes_from(maild, judge, tmp_path):
    key = tmp_path / "key.pem"
    subprocess.run(["openssl", "genpkey", "-algorithm", "ed25519", "-out", key], check=True, capture_output=True)
    key.chmod(0o600)
    server = judge(script=to_recipients(BAD))
    one = maild(relay=server.settings(), dkim=[{"domain": "client.example", "selector": "s", "key_file": key}]).start()
    with one.submission() as app:
        app.ask(bounce(to=["b@example.com"]))
    until(lambda: bounces(server), "the bounce has come")
    assert bounces(server)[0].data.startswith(b"DKIM-Signature: v=1; a=ed25519-sha256;")


def test_it_goes_into_the_maildir_where_there_is_no_relay(maild):
    one = maild(bounces={"by_default": True}).start()
    with one.submission() as app:
        # What the Maildir takes it keeps; so the time must be over while maild is paused.
        one.mailctl("pause")
        gone = app.ask(job(expires_at=in_seconds(1), **{"from": "app@example.org"}))["job"]
    until(lambda: one.show(gone)["expires_at"] < in_seconds(0)[:19], "its time is over")
    one.mailctl("resume")
    one.wait_for_state(gone, "expired")
    folder = one.directory / "maildir" / "new"
    until(lambda: list(folder.iterdir()), "the bounce is in the Maildir")
    [path] = folder.iterdir()
    assert b"Return-Path: <>" in path.read_bytes()


@pytest.mark.parametrize("round_", range(4))
def test_no_death_loses_or_doubles_a_bounce(maild, judge, round_):
    """SIGKILL between the server's refusal, the settlement and the bounce's delivery: a job may be tried again, but
    for each failure there is one bounce job, and it is delivered under one Message-ID."""
    count = 60
    replies = {f"r{number}@example.com": "550 5.1.1 no such user" for number in range(count)}
    server = judge(script=to_recipients(replies))
    one = maild(workers=4, relay=server.settings(), retry=QUICK).start()
    one.mailctl("pause")
    with one.submission() as app:
        app.send(*(bounce(to=[address], ref=address) for address in replies))
        jobs = [answer["job"] for answer in app.answers(count)]
    one.mailctl("resume")
    for step in range(2):
        # The moment is what is tested: after so many refusals, wherever the rest is by then.
        until(lambda step=step: len(server.verbs()) > 40 * (step + 1) * (round_ + 1) or len(bounces(server)) >= count,
              "some were refused")
        one.kill()
        one.spawn()
        until(lambda: serves(one), "maild serves again")
    one.wait_for_counts(ready=0, scheduled=0, running=0, failed=count, held=0, seconds=120)
    reports = [note(one.show(each)["history"], "reported")["report"] for each in jobs]
    assert len(set(reports)) == count
    arrived = {message.message_id for message in bounces(server)}
    assert arrived == {f"<{report}@client.example>" for report in reports}
    for each, report in zip(jobs, reports, strict=True):
        assert [entry["event"] for entry in one.show(each)["history"]].count("reported") == 1
        assert note(one.show(report)["history"], "reports")["failed"] == each


def serves(one):
    assert one.is_alive(), "maild did not start again"
    try:
        return one.status()["pid"] == one.pid
    except OSError:
        return False


def test_a_lost_final_reply_is_no_failure_and_brings_no_bounce(maild, judge):
    lost = [True]
    server = judge(script=lambda _, verb, argument: DROP if verb == "." and lost and lost.pop() else None)
    one = maild(relay=server.settings(), retry=QUICK).start()
    with one.submission() as app:
        sent = app.ask(bounce())["job"]
    one.wait_for_state(sent, "delivered")
    assert bounces(server) == [] and metric(one, "maild_jobs_reported_total") == 0


def test_mailctl_submit_waits_for_the_end_and_asks_for_a_bounce(maild, judge):
    server = judge(script=to_recipients(BAD))
    one = maild(relay=server.settings()).start()
    flags = ["--from", "app@example.org", "--text", "hi", "--bounce", "--wait"]
    good = one.mailctl("submit", "--to", "a@example.com", *flags)
    assert good.returncode == 0 and re.fullmatch(
        r"\w{13} delivered\n    delivered  a@example.com  250 2.0.0 taken\n", good.stdout), good
    bad = one.mailctl("submit", "--to", "a@example.com", "--to", "b@example.com", *flags)
    assert bad.returncode == 67, bad
    assert "    rejected   b@example.com  550 5.1.1 no such user\n" in bad.stdout
    until(lambda: bounces(server), "the bounce has come")
    assert one.mailctl("submit", "--wait", "-", input="").returncode == 64
