# maild, the mail-job daemon
# SPDX-License-Identifier: Apache-2.0
"""Mail to Debian's own servers: Exim and OpenSMTPD by SMTP, Dovecot by LMTP, Postfix by BDAT and with DSN."""

import re

import pytest
from aio_server import CERTIFICATES
from servers import Dovecot, Exim, LaterOpenSMTPD, OpenSMTPD
from submission import job
from test_smtp_security import cause
from test_smtp_servers import fates
from waiting import until

TRUST = {"host": "localhost", "tls": "required", "tls_roots": CERTIFICATES / "authority.pem"}


@pytest.fixture
def server(request):
    """The server of the class that the test is parametrized with."""
    one = request.param()
    try:
        yield one.start()
    finally:
        print(f"--- {request.param.__name__}:", *one.log().splitlines()[-40:], sep="\n")
        one.stop()


def login(tmp_path, **more):
    secret = tmp_path / "secret"
    secret.write_text("s3cret")
    secret.chmod(0o600)
    return {"user": "app", "password_file": secret} | more


def submit(one, *jobs):
    with one.submission() as client:
        return [answer["job"] for answer in client.send(*jobs).answers(len(jobs))]


def bodies(server):
    return sorted(message.get_payload().rstrip("\n") for message in server.messages())


@pytest.mark.parametrize("server", [Exim, OpenSMTPD, LaterOpenSMTPD], indirect=True)
def test_mail_arrives_whole_and_each_recipient_has_its_verdict(maild, server):
    one = maild(
        workers=3, retry={"first_seconds": 60}, relay={"it": {"host": "127.0.0.1", "port": server.port}}).start()
    good = [job(subject=f"p{n}", content=f".\n..\n.body {n}\n") for n in range(20)]
    names = submit(one, *good, job(to=["unknown@example.com", "b@example.com"]))
    for name in names[:20]:
        [attempt] = one.wait_for_state(name, "delivered")["history"]
        assert [fate["code"] for fate in attempt["fates"]] == [250]
        assert attempt["peer"] == f"127.0.0.1:{server.port}"
    [attempt] = one.wait_for_state(names[20], "failed")["history"]
    verdicts = {to: verdict for to, (verdict, _, _) in fates(attempt).items()}
    assert verdicts == {"unknown@example.com": "rejected", "b@example.com": "delivered"}
    until(lambda: len(server.messages()) == 21, f"21 messages; there are {len(server.messages())}")
    assert bodies(server) == sorted([f".\n..\n.body {n}" for n in range(20)] + ["text"])


@pytest.mark.parametrize("server", [Exim], indirect=True)
@pytest.mark.parametrize("auth", [None, "plain"])
def test_mail_goes_by_starttls_and_login(maild, tmp_path, server, auth):
    more = {"auth": auth} if auth else {}
    one = maild(relay={"it": TRUST | {"port": server.secure_port} | login(tmp_path, **more)}).start()
    [name] = submit(one, job())
    [attempt] = one.wait_for_state(name, "delivered")["history"]
    assert attempt["tls"] == "TLSv1.3"
    until(lambda: len(server.messages()) == 1, "it is delivered")
    # P=esmtpsa: encrypted and authenticated; A= by which login.
    assert re.search(rf" <= .* P=esmtpsa .* A={'plain' if auth else 'cram'}:app ", server.log()), server.log()
    assert "s3cret" not in one.log()


@pytest.mark.parametrize("server", [LaterOpenSMTPD], indirect=True)
@pytest.mark.parametrize("auth", ["plain", "login"])
def test_opensmtpd_takes_mail_by_starttls_and_login(maild, tmp_path, server, auth):
    one = maild(relay={"it": TRUST | {"port": server.secure_port} | login(tmp_path, auth=auth)}).start()
    [name] = submit(one, job(content="by TLS"))
    [attempt] = one.wait_for_state(name, "delivered")["history"]
    assert attempt["tls"] == "TLSv1.3"
    until(lambda: bodies(server) == ["by TLS"], "it is delivered")
    assert "smtp authentication user=app result=ok" in server.log() and "s3cret" not in one.log()
    # Whoever does not log in is refused: mail waits, and nobody is asked for it in clear.
    one.configure(relay={"it": TRUST | {"port": server.secure_port}})
    assert one.mailctl("reload").returncode == 0
    [name] = submit(one, job())
    assert one.wait_for_state(name, "failed")["history"][0]["fates"][0]["verdict"] == "rejected"


@pytest.mark.parametrize("server", [OpenSMTPD], indirect=True)
@pytest.mark.parametrize("tls", ["required", "opportunistic"])
def test_a_server_that_offers_starttls_and_cannot_do_it_gets_no_mail(maild, tmp_path, server, tls):
    relay = TRUST | {"tls": tls, "port": server.port}
    if tls == "opportunistic":
        del relay["tls_roots"]
    one = maild(relay={"it": relay}).start()
    [name] = submit(one, job())
    assert re.match(r"454 4\.7\.5 no TLS with localhost:\d+: .*alert", cause(one, name))
    assert server.messages() == []


@pytest.mark.parametrize("server", [Exim], indirect=True)
def test_exim_is_given_chunks_and_defers_whom_it_defers(maild, server):
    one = maild(retry={"first_seconds": 60}, relay={"exim": {"host": "127.0.0.1", "port": server.port}}).start()
    long = "".join(f"{n} a line of some length that is no other's\n" for n in range(60_000))
    small, large, partly = submit(
        one, job(subject="small"), job(subject="large", content=long),
        job(subject="partly", to=["full@example.com", "a@example.com"]))
    one.wait_for_state(small, "delivered")
    one.wait_for_state(large, "delivered")
    [attempt] = one.wait_for_state(partly, "scheduled")["history"]
    assert fates(attempt)["full@example.com"] == ("deferred", 451, "4.2.2")
    assert fates(attempt)["a@example.com"][:2] == ("delivered", 250)
    until(lambda: len(server.messages()) == 3, "three messages")
    # Exim notes with a K what came by BDAT.
    assert len(re.findall(r" <= .* K S=", server.log())) == 3, server.log()
    [message] = [message for message in server.messages() if message["Subject"] == "large"]
    assert message.get_payload() == long


@pytest.mark.parametrize("server", [Exim], indirect=True)
def test_what_is_to_be_ignored_is_not_used(maild, server):
    relay = {"host": "127.0.0.1", "port": server.port, "ignore_extensions": ["chunking", "pipelining"]}
    one = maild(relay={"exim": relay}).start()
    [name] = submit(one, job())
    one.wait_for_state(name, "delivered")
    until(lambda: len(server.messages()) == 1, "it is delivered")
    assert " K S=" not in server.log()


@pytest.mark.parametrize("server", [Dovecot], indirect=True)
@pytest.mark.parametrize("way", ["tcp", "socket", "tls"])
def test_dovecot_takes_mail_by_lmtp_with_a_verdict_for_each_recipient(maild, server, way):
    where = {
        "tcp": {"host": "127.0.0.1", "port": server.port}, "socket": {"socket": server.socket},
        "tls": TRUST | {"port": server.port}}[way]
    one = maild(workers=2, retry={"first_seconds": 60}, relay={"dovecot": {"protocol": "lmtp"} | where}).start()
    boxes = ["a@example.com", "broken@example.com", "nobody@example.com", "b@example.com"]
    [mixed, *rest] = submit(one, job(to=boxes, content=".\n..\n"), *(job(subject=f"p{n}") for n in range(20)))
    [attempt] = one.wait_for_state(mixed, "scheduled")["history"]
    verdicts = {to: verdict for to, (verdict, _, _) in fates(attempt).items()}
    # The one was refused before the message, the other after it.
    assert verdicts == dict(zip(boxes, ("delivered", "deferred", "rejected", "delivered")))
    assert attempt.get("tls") == ("TLSv1.3" if way == "tls" else None)
    assert attempt["peer"] == (str(server.socket) if way == "socket" else f"127.0.0.1:{server.port}")
    for name in rest:
        one.wait_for_state(name, "delivered")
    assert len(server.messages("inbox/a")) == 21 and len(server.messages("inbox/b")) == 1
    assert server.messages("inbox/b")[0].get_payload() == ".\n..\n"
    [relay] = one.status()["relays"]
    assert relay["transport"] == "lmtp" and relay["deferred"] == 1


def test_postfix_is_given_chunks(maild, postfix):
    one = maild(workers=1, relay={"postfix": {"host": "127.0.0.1", "port": postfix.port}}).start()
    names = submit(one, *(job(subject=f"p{n}", content=f".\n..\nbody {n}\n") for n in range(10)))
    for name in names:
        one.wait_for_state(name, "delivered")
    assert one.stop() == 0
    # Postfix sums up a session at its end.
    until(lambda: "bdat=10" in postfix.log(), f"the session's sum; there is {postfix.log()}")
    assert " data=" not in postfix.log()
    until(lambda: len(postfix.messages()) == 10, "ten messages")
    assert sorted(message.get_payload() for message in postfix.messages()) == [
        f".\n..\nbody {n}\n" for n in range(10)]


def test_postfix_tells_what_dsn_asked_for(maild, postfix):
    one = maild(relay={"postfix": {"host": "127.0.0.1", "port": postfix.port}}).start()
    wanted = {"notify": ["success"], "ret": "headers", "envid": "order=17+1 of 2"}
    [asked, _] = submit(
        one, job(subject="notice", dsn=wanted, **{"from": "b@example.com"}),
        job(subject="silence", dsn={"notify": "never"}, **{"from": "b@example.com"}))
    one.wait_for_state(asked, "delivered")
    until(lambda: len(postfix.messages()) == 3, f"two mails and a notice; there are {len(postfix.messages())}")
    [notice] = [message for message in postfix.messages() if message.get_content_type() == "multipart/report"]
    _, status, original = notice.get_payload()
    fields = {name: value for part in status.get_payload() for name, value in part.items()}
    assert fields["Original-Envelope-Id"] == "order=17+1 of 2"
    assert fields["Original-Recipient"] == "rfc822;a@example.com" and fields["Action"] == "delivered"
    assert original.get_content_type() == "text/rfc822-headers"


@pytest.mark.parametrize("server", [OpenSMTPD], indirect=True)
def test_a_server_without_pipelining_takes_dsn_parameters(maild, server):
    one = maild(relay={"it": {"host": "127.0.0.1", "port": server.port}}).start()
    dsn = {"notify": ["failure", "delay"], "ret": "full", "envid": "x y"}
    [name] = submit(one, job(to=["a@example.com", "b@example.com"], dsn=dsn))
    one.wait_for_state(name, "delivered")
    until(lambda: len(server.messages()) == 2, "two copies")
