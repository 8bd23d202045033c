# maild, the mail-job daemon
# SPDX-License-Identifier: Apache-2.0
"""`mailctl check`: servers that are not ours, each step, each exit status, and not a mail among them."""

import json

import pytest
from aio_server import CERTIFICATES, AioServer, SecureServer
from control import ControlError
from servers import Dovecot, Exim
from test_real_servers import TRUST, login, server  # noqa: F401
from waiting import free_port


def check(one, relay):
    """Exit status, text for people, and what the operators' socket said to the same question."""
    page = one.mailctl("check", relay)
    answer = one.control.call("Check", relay=relay)
    assert json.loads(one.mailctl("check", "--json", relay).stdout).keys() == answer.keys()
    return page.returncode, page.stdout, answer


def steps(answer):
    return [(finding["step"], finding["ok"]) for finding in answer["findings"]]


def test_an_open_server_in_clear(maild, judge):
    server = judge(extensions=("8BITMIME", "SIZE 1000"))
    one = maild(relay=server.settings()).start()
    status, page, answer = check(one, "judge")
    assert status == 0 and "judge would take mail in clear\n" in page
    assert page.startswith(f"judge, smtp at 127.0.0.1:{server.port}\n")
    assert "greeting  ok      220 judge ESMTP\n" in page and "PIPELINING, 8BITMIME, SIZE 1000\n" in page
    assert steps(answer) == [("connect", True), ("greeting", True), ("hello", True)]
    assert answer["ok"] and "tls" not in answer and answer["peer"] == f"127.0.0.1:{server.port}"
    assert set(server.verbs()) == {"EHLO", "QUIT"} and server.faults == []


@pytest.mark.parametrize("server", [Exim], indirect=True)
def test_exim_with_tls_and_login(maild, tmp_path, server):  # noqa: F811
    one = maild(relay={"exim": TRUST | {"port": server.secure_port} | login(tmp_path)}).start()
    status, page, answer = check(one, "exim")
    assert status == 0 and "exim would take mail by TLSv1.3\n" in page
    assert steps(answer) == [(step, True) for step in ("connect", "greeting", "hello", "tls", "login")]
    by = {finding["step"]: finding["text"] for finding in answer["findings"]}
    assert by["login"] == "as app by CRAM-MD5"
    assert by["tls"].startswith("TLSv1.3, certificate for localhost, 127.0.0.1") and by["tls"].endswith(", verified")
    assert answer["tls"] == "TLSv1.3" and "CHUNKING" in answer["extensions"] and "STARTTLS" not in answer["extensions"]
    assert "s3cret" not in page + one.log() and " <= " not in server.log()


@pytest.mark.parametrize("server", [Dovecot], indirect=True)
def test_dovecot_by_lmtp_over_a_unix_socket(maild, server):  # noqa: F811
    one = maild(relay={"boxes": {"protocol": "lmtp", "socket": server.socket}}).start()
    status, page, answer = check(one, "boxes")
    assert status == 0 and f"boxes, lmtp at {server.socket}\n" in page
    assert answer["transport"] == "lmtp" and answer["peer"] == str(server.socket)


def test_nobody_listens_is_69(maild):
    one = maild(relay={"away": {"host": "127.0.0.1", "port": free_port()}}).start()
    status, page, answer = check(one, "away")
    assert status == 69 and "away takes no mail\n" in page
    assert steps(answer) == [("connect", False)] and "Connection refused" in answer["findings"][0]["text"]


def test_a_server_that_refuses_to_talk_is_69(maild, judge):
    one = maild(relay=judge(greeting="554 5.7.1 not you").settings()).start()
    status, _, answer = check(one, "judge")
    assert status == 69 and answer["findings"][-1] == {"step": "greeting", "ok": False, "text": "554 5.7.1 not you"}


def test_no_starttls_where_it_is_required_is_76(maild):
    with AioServer() as server:
        one = maild(relay=server.settings(tls="required")).start()
        status, _, answer = check(one, "aio")
    assert status == 76 and steps(answer)[-1] == ("tls", False)
    assert "does not offer STARTTLS" in answer["findings"][-1]["text"]


def test_a_certificate_that_does_not_verify_is_76_and_its_reason_is_told(maild, tmp_path):
    with SecureServer("app", "s3cret", "expired.pem") as server:
        one = maild(relay=server.settings(**login(tmp_path))).start()
        status, page, answer = check(one, "aio")
    assert status == 76 and steps(answer)[-1] == ("tls", False) and "its certificate has expired" in page
    assert server.logins == []


def test_a_refused_login_is_77(maild, tmp_path):
    with SecureServer("app", "other") as server:
        one = maild(relay=server.settings(**login(tmp_path))).start()
        status, page, answer = check(one, "aio")
    assert status == 77 and steps(answer)[-1] == ("login", False) and "535 5.7.8 " in page
    assert "s3cret" not in page + one.log()


def test_a_relay_that_no_route_leads_to_is_tried_too_and_as_the_last_reload_has_it(maild, judge):
    server = judge()
    unused = {"spare": {"host": "127.0.0.1", "port": free_port()}}
    one = maild(relay=server.settings() | unused, default_relay="judge").start()
    assert check(one, "spare")[0] == 69
    unused["spare"]["port"] = server.port
    one.configure(relay=server.settings() | unused, default_relay="judge")
    assert one.mailctl("reload").returncode == 0
    assert check(one, "spare")[0] == 0


def test_a_relay_that_is_not_there_is_65(running):
    result = running.mailctl("check", "main")
    assert result.returncode == 65 and result.stderr == "mailctl: no relay main in the configuration\n"
    with pytest.raises(ControlError) as error:
        running.control.call("Check", relay="main")
    assert (error.value.name, error.value.parameters) == ("io.maild.Control.NoSuchRelay", {"relay": "main"})


def test_a_certificate_file_that_is_gone_since_is_told(maild, tmp_path, judge):
    roots = tmp_path / "roots.pem"
    roots.write_bytes((CERTIFICATES / "authority.pem").read_bytes())
    one = maild(relay=judge().settings(tls="required", tls_roots=roots)).start()
    roots.unlink()
    status, page, _ = check(one, "judge")
    assert status == 76 and f"tls_roots: {roots} has no certificate that can be read" in page
