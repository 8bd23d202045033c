# maild, the mail-job daemon
# SPDX-License-Identifier: Apache-2.0
"""TLS and login at servers that are not ours: aiosmtpd and Postfix."""

import pytest
from aio_server import CERTIFICATES, AioServer, SecureServer
from submission import job
from waiting import until


def secret(tmp_path, text, mode=0o600):
    path = tmp_path / "secret"
    path.write_text(text)
    path.chmod(mode)
    return path


def submit(one, *jobs):
    with one.submission() as client:
        return [client.ask(each)["job"] for each in jobs]


def cause(one, name):
    """Why the relay is away, with the reply's codes; a job that waits for it has used up no attempt."""
    def known():
        [relay] = one.control.call("Relays")["relays"]
        return relay.get("cause")
    why = until(known, "the cause of the relay's outage")
    assert one.show(name)["job"]["attempts"] == 0
    return why


@pytest.mark.parametrize("mechanism", ["PLAIN", "LOGIN"])
def test_mail_goes_by_starttls_and_login(maild, tmp_path, mechanism):
    others = {"PLAIN", "LOGIN"} - {mechanism}
    with SecureServer("app", "s3cret", auth_exclude_mechanism=others) as server:
        login = {"user": "app", "password_file": secret(tmp_path, "s3cret\n")}
        one = maild(relay=server.settings(**login)).start()
        [name] = submit(one, job(subject="secure"))
        [attempt] = one.wait_for_state(name, "delivered")["history"]
        assert attempt["tls"] == "TLSv1.3"
        assert server.logins == [(mechanism, "app", "s3cret")]
        assert [message["Subject"] for message in server.recorder.messages()] == ["secure"]
        assert len(server.recorder.greetings) == 2, "EHLO again after STARTTLS"
        assert "TLSv1.3" in one.mailctl("show", name).stdout
        assert 'maild_smtp_sessions_total{relay="aio",tls="yes"} 1' in one.http("/metrics")[2]
    assert "s3cret" not in one.log()


def test_a_refused_login_holds_up_mail_and_loses_none(maild, tmp_path):
    with SecureServer("app", "s3cret") as server:
        file = secret(tmp_path, "wr0ng")
        one = maild(
            retry={"first_seconds": 0.2, "wait_seconds_max": 0.5}, log_level="debug",
            relay=server.settings(user="app", password_file=file)).start()
        [name] = submit(one, job())
        why = cause(one, name)
        assert why.startswith("535 5.7.8 ") and "refused the login by PLAIN" in why
        # The password is read anew at each login: mended without a reload.
        file.write_text("s3cret")
        one.wait_for_state(name, "delivered")
        assert {login[2] for login in server.logins} == {"wr0ng", "s3cret"}
    assert "is out of reach" in one.log() and "refused the login" in one.log()
    assert "s3cret" not in one.log() and "wr0ng" not in one.log()


def test_a_password_that_others_may_read_is_not_used(maild, tmp_path):
    with SecureServer("app", "s3cret") as server:
        file = secret(tmp_path, "s3cret", mode=0o644)
        one = maild(relay=server.settings(user="app", password_file=file)).start()
        [name] = submit(one, job())
        assert f"{file} is open to others (mode 0644)" in cause(one, name)
        assert server.logins == []


def test_a_password_comes_from_a_systemd_credential(maild, tmp_path):
    with SecureServer("app", "s3cret") as server:
        (tmp_path / "credentials").mkdir()
        (tmp_path / "credentials/relay").write_text("s3cret")
        (tmp_path / "credentials/relay").chmod(0o400)
        one = maild(relay=server.settings(user="app", password_credential="relay"))
        one.start(environment={"CREDENTIALS_DIRECTORY": str(tmp_path / "credentials")})
        [name] = submit(one, job())
        one.wait_for_state(name, "delivered")


@pytest.mark.parametrize("certificate, words", [
    ("expired.pem", "its certificate has expired"), ("other-name.pem", "its certificate is not for 127.0.0.1")])
def test_a_certificate_that_does_not_verify_gets_neither_mail_nor_password(maild, tmp_path, certificate, words):
    with SecureServer("app", "s3cret", certificate) as server:
        login = {"user": "app", "password_file": secret(tmp_path, "s3cret")}
        one = maild(relay=server.settings(**login)).start()
        [name] = submit(one, job())
        why = cause(one, name)
        assert why.startswith("454 4.7.5 ") and words in why
        assert server.logins == [] and server.recorder.envelopes == []


def test_a_server_without_starttls_gets_no_mail_where_tls_is_required(maild):
    with AioServer() as server:
        one = maild(relay=server.settings(tls="required")).start()
        [name] = submit(one, job())
        why = cause(one, name)
        assert " 4.7.4 " in why and "does not offer STARTTLS" in why
        one.configure(relay=server.settings(tls="opportunistic"), retry={"first_seconds": 0.2})
        assert one.mailctl("reload").returncode == 0
        [name] = submit(one, job())
        [attempt] = one.wait_for_state(name, "delivered")["history"]
        assert "tls" not in attempt


def test_a_password_in_the_configuration_is_refused(maild):
    one = maild(relay={"aio": {"host": "mx.example", "user": "app", "password": "s3cret"}})
    one.spawn()
    assert one.process.wait(timeout=20) == 78
    assert "relay.aio.password: no secret stands in this file" in one.log() and "s3cret" not in one.log()


def test_a_certificate_file_that_is_missing_is_an_error_of_the_configuration(maild, tmp_path):
    one = maild(relay={"aio": {"host": "mx.example", "tls_roots": tmp_path / "none.pem"}})
    one.spawn()
    assert one.process.wait(timeout=20) == 78
    assert f"relay.aio.tls_roots: {tmp_path}/none.pem has no certificate that can be read" in one.log()


def test_new_certificates_under_the_old_names_are_read_by_a_reload(maild, tmp_path):
    roots = tmp_path / "roots.pem"
    roots.write_bytes((CERTIFICATES / "client.pem").read_bytes())
    with SecureServer("app", "s3cret") as server:
        login = {"user": "app", "password_file": secret(tmp_path, "s3cret")}
        relay = server.settings(**login)
        relay["aio"]["tls_roots"] = roots
        one = maild(relay=relay).start()
        [name] = submit(one, job())
        assert "not signed by an authority that is trusted here" in cause(one, name)
        roots.write_bytes((CERTIFICATES / "authority.pem").read_bytes())
        assert one.mailctl("reload").returncode == 0
        [name] = submit(one, job())
        one.wait_for_state(name, "delivered")


def test_a_real_postfix_takes_mail_by_tls(maild, postfix):
    settings = {"host": "localhost", "port": postfix.port, "tls": "required"}
    one = maild(relay={"postfix": settings | {"tls_roots": CERTIFICATES / "authority.pem"}}).start()
    names = submit(one, *(job(subject=f"p{n}") for n in range(5)))
    for name in names:
        [attempt] = one.wait_for_state(name, "delivered")["history"]
        assert attempt["tls"] == "TLSv1.3" and "queued as" in attempt["fates"][0]["text"]


def login_at(postfix, tmp_path, password, **more):
    return {
        "host": "localhost", "port": postfix.secure_port, "tls": "required",
        "tls_roots": CERTIFICATES / "authority.pem", "user": "app", "password_file": secret(tmp_path, password)} | more


@pytest.mark.parametrize("auth", [None, "scram-sha-256", "cram-md5", "plain", "login"])
def test_a_real_postfix_takes_mail_by_starttls_and_login(maild, tmp_path, postfix, auth):
    one = maild(relay={"postfix": login_at(postfix, tmp_path, "s3cret", **({"auth": auth} if auth else {}))}).start()
    [name] = submit(one, job(subject="secure"))
    [attempt] = one.wait_for_state(name, "delivered")["history"]
    assert attempt["tls"] == "TLSv1.3" and "queued as" in attempt["fates"][0]["text"]
    # Where nobody says which, the strongest that is offered.
    method = (auth or "scram-sha-256").upper()
    until(lambda: f"sasl_method={method}, sasl_username=app" in postfix.log(), f"a login by {method}; {postfix.log()}")


def test_a_real_postfix_refuses_a_wrong_password_by_scram(maild, tmp_path, postfix):
    one = maild(relay={"postfix": login_at(postfix, tmp_path, "wr0ng")}).start()
    [name] = submit(one, job())
    why = cause(one, name)
    assert why.startswith("535 5.7.8 ") and "refused the login by SCRAM-SHA-256" in why
    assert postfix.messages() == []
