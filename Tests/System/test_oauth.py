# maild, the mail-job daemon
# SPDX-License-Identifier: Apache-2.0
"""Relays that are logged in to with OAuth 2 tokens, which maild gets by itself."""

import json
import time

import pytest
from aio_server import CERTIFICATES
from oauth_servers import BearerServer, TokenEndpoint
from submission import job
from waiting import until

SECRETS = ("refresh-", "cl1ent-s3cret", "token-")


def private(path, text):
    path.write_text(text)
    path.chmod(0o600)
    return path


class Office:
    """A maild with a relay whose tokens come from `endpoint`."""

    def __init__(self, maild, tmp_path, endpoint, server, grant="refresh_token", **relay):
        self.refresh_file = private(tmp_path / "refresh", "refresh-0\n")
        self.settings = {
            "user": server.user, "oauth_token_url": endpoint.url("/tenant/oauth2/v2.0/token"),
            "oauth_client_id": "client-1", "oauth_client_secret_file": private(tmp_path / "client", "cl1ent-s3cret"),
        } | relay
        if grant == "refresh_token":
            self.settings["oauth_refresh_token_file"] = self.refresh_file
        self.maild = maild(relay=server.settings(**self.settings), retry={"first_seconds": 0.1}, log_level="debug")
        self.maild.start()

    def send(self, count=1):
        with self.maild.submission() as client:
            return [client.ask(job(subject=f"s{n}"))["job"] for n in range(count)]

    def deliver(self, count=1):
        for name in self.send(count):
            self.maild.wait_for_state(name, "delivered")

    def cause(self):
        def known():
            [relay] = self.maild.control.call("Relays")["relays"]
            return relay.get("cause")
        return until(known, "the cause of the relay's outage")

    def kept(self):
        return json.loads((self.maild.directory / "oauth/aio.json").read_text())["refresh_token"]


@pytest.fixture
def office(maild, tmp_path):
    made = []

    def make(endpoint, server, **options):
        made.append(Office(maild, tmp_path, endpoint, server, **options))
        return made[-1]

    yield make
    for each in made:
        log = each.maild.log()
        assert not any(secret in log for secret in SECRETS), "a secret is in the log"


@pytest.mark.parametrize("mechanism", ["XOAUTH2", "OAUTHBEARER"])
def test_mail_goes_with_a_token_that_a_refresh_token_brought(office, mechanism):
    with TokenEndpoint() as endpoint, BearerServer(endpoint, mechanism=mechanism) as server:
        one = office(endpoint, server, oauth_scope="https://mail.example/ offline_access")
        one.deliver(5)
        assert endpoint.forms == [{
            "grant_type": "refresh_token", "refresh_token": "refresh-0", "client_id": "client-1",
            "client_secret": "cl1ent-s3cret", "scope": "https://mail.example/ offline_access"}]
        assert endpoint.asked[0].headers["content-type"] == "application/x-www-form-urlencoded"
        assert endpoint.asked[0].path == "/tenant/oauth2/v2.0/token"
        assert set(server.logins) == {"token-1"}
        metrics = one.maild.http("/metrics")[2]
        assert 'maild_relay_tokens_total{relay="aio",result="had"} 1' in metrics


def test_without_a_refresh_token_the_client_stands_for_itself(office):
    with TokenEndpoint() as endpoint, BearerServer(endpoint) as server:
        one = office(endpoint, server, grant="client_credentials", oauth_scope="https://outlook.example/.default")
        one.deliver()
        assert endpoint.forms == [{
            "grant_type": "client_credentials", "client_id": "client-1", "client_secret": "cl1ent-s3cret",
            "scope": "https://outlook.example/.default"}]


def test_many_sessions_share_one_request(office):
    def slowly(handler):
        endpoint.hanging.wait(0.5)
        endpoint.trouble = None
        endpoint._give(handler)

    with TokenEndpoint() as endpoint, BearerServer(endpoint) as server:
        endpoint.trouble = slowly
        one = office(endpoint, server)
        one.deliver(30)
        assert len(endpoint.asked) == 1 and len(server.logins) > 1


def test_a_token_is_renewed_before_it_expires(office):
    with TokenEndpoint(lifetime=2) as endpoint, BearerServer(endpoint) as server:
        one = office(endpoint, server, messages_per_connection_max=1)
        deadline = time.monotonic() + 5
        while time.monotonic() < deadline:
            one.deliver()
        assert len(endpoint.asked) >= 3 and len(set(server.logins)) == len(set(endpoint.valid))
        assert one.maild.status()["failed_total"] == 0
        assert all(login in endpoint.valid for login in server.logins)


def test_a_token_that_was_withdrawn_is_replaced_within_the_session(office):
    with TokenEndpoint() as endpoint, BearerServer(endpoint) as server:
        one = office(endpoint, server, messages_per_connection_max=1)
        one.deliver()
        endpoint.valid.clear()
        [name] = one.send()
        shown = one.maild.wait_for_state(name, "delivered")
        assert server.logins == ["token-1", "token-1", "token-2"]
        assert shown["job"]["attempts"] == 1 and "is away" not in one.maild.log()


def test_a_fresh_token_that_is_refused_opens_the_breaker(office):
    with TokenEndpoint() as endpoint, BearerServer(endpoint, user="somebody.else@example.org") as server:
        server.user = "app@example.org"
        one = office(endpoint, server)
        server.user = "nobody@example.org"
        [name] = one.send()
        assert "535" in one.cause() and "refused the login by XOAUTH2" in one.cause()
        assert one.maild.show(name)["job"]["attempts"] == 0


def test_a_new_refresh_token_survives_a_restart(office, tmp_path):
    with TokenEndpoint(rotates=True) as endpoint, BearerServer(endpoint) as server:
        one = office(endpoint, server)
        one.deliver()
        assert one.kept() == "refresh-1"
        state = one.maild.directory / "oauth"
        assert state.stat().st_mode & 0o777 == 0o700 and (state / "aio.json").stat().st_mode & 0o777 == 0o600
        assert one.refresh_file.read_text() == "refresh-0\n", "the operator's file is the operator's"
        one.maild.restart()
        one.deliver()
        assert [form["refresh_token"] for form in endpoint.forms] == ["refresh-0", "refresh-1"]
        assert one.kept() == "refresh-2"
        # A new one from the operator takes the place of all that came of the old one.
        private(one.refresh_file, "refresh-new\n")
        endpoint.refresh_token = "refresh-new"
        one.maild.restart()
        one.deliver()
        assert endpoint.forms[-1]["refresh_token"] == "refresh-new"


def test_a_reload_keeps_the_tokens(office):
    with TokenEndpoint(rotates=True) as endpoint, BearerServer(endpoint) as server:
        one = office(endpoint, server)
        one.deliver()
        one.maild.configure(relay=server.settings(**one.settings, connections_max=3))
        assert one.maild.control.call("Reload")["changed"] == ["relay.aio.connections_max"]
        one.deliver()
        assert len(endpoint.asked) == 1


def test_where_a_kept_token_is_void_the_configured_one_is_tried(office):
    with TokenEndpoint(rotates=True) as endpoint, BearerServer(endpoint) as server:
        one = office(endpoint, server)
        one.deliver()
        endpoint.refresh_token = "refresh-0"
        one.maild.restart()
        one.deliver()
        assert [form["refresh_token"] for form in endpoint.forms] == ["refresh-0", "refresh-1", "refresh-0"]


def test_an_invalid_grant_opens_the_breaker_and_costs_no_attempt(office):
    with TokenEndpoint(refresh_token="refresh-other") as endpoint, BearerServer(endpoint) as server:
        one = office(endpoint, server)
        names = one.send(10)
        why = one.cause()
        assert why.startswith("454 4.7.0 ") and "400 invalid_grant: AADSTS70008: the refresh token has expired" in why
        assert f"http://127.0.0.1:{endpoint.port} gives no access token" in why and "tenant" not in why
        assert all(one.maild.show(name)["job"]["attempts"] == 0 for name in names)
        assert len(endpoint.asked) < 5 and server.logins == []
        assert 'result="refused"} ' in one.maild.http("/metrics")[2]
        # Mended without a reload.
        private(one.refresh_file, "refresh-other")
        for name in names:
            one.maild.wait_for_state(name, "delivered")


def test_an_endpoint_that_is_away_slow_or_silent_is_waited_for(office):
    with TokenEndpoint() as endpoint, BearerServer(endpoint) as server:
        endpoint.trouble = (503, {"Retry-After": "1"}, b"down")
        one = office(endpoint, server)
        [name] = one.send()
        assert "gives no access token: 503" in one.cause()
        endpoint.trouble = None
        one.maild.wait_for_state(name, "delivered")
        first, second = endpoint.wait_for(2)[:2]
        assert second.at - first.at >= 1
        assert one.maild.show(name)["job"]["attempts"] == 1


def test_an_endpoint_that_cannot_be_reached_is_named(office):
    with TokenEndpoint() as endpoint, BearerServer(endpoint) as server:
        port = endpoint.port
    with TokenEndpoint() as other, BearerServer(other) as server:
        one = office(other, server, oauth_token_url=f"http://127.0.0.1:{port}/token")
        one.send()
        assert f"could not connect to http://127.0.0.1:{port}: Connection refused" in one.cause()


def test_a_token_that_ages_is_used_while_its_endpoint_is_away(office):
    with TokenEndpoint(lifetime=8) as endpoint, BearerServer(endpoint) as server:
        one = office(endpoint, server, messages_per_connection_max=1)
        one.deliver()
        endpoint.trouble = (500, {}, b"")
        until(lambda: one.deliver() or len(endpoint.asked) >= 2, "the endpoint was asked for the next one")
        one.deliver()
        assert "has no new access token" in one.maild.log() and "is away" not in one.maild.log()


def test_tls_of_the_endpoint_is_verified(office):
    with TokenEndpoint(certificate="server.pem") as endpoint, BearerServer(endpoint) as server:
        one = office(endpoint, server)
        [name] = one.send()
        assert "not signed by an authority that is trusted here" in one.cause() and endpoint.asked == []
        one.maild.configure(
            relay=server.settings(**one.settings, oauth_tls_roots=CERTIFICATES / "authority.pem"))
        assert one.maild.mailctl("reload").returncode == 0
        one.deliver()


@pytest.mark.parametrize("change, words", [
    ({"oauth_token_url": "http://id.example/token"}, "oauth_token_url: must begin with https://"),
    ({"oauth_token_url": "id.example"}, "oauth_token_url: does not begin with https://"),
    ({"oauth_client_id": None}, "oauth_client_id: is missing"),
    ({"oauth_client_secret_file": None}, "oauth_token_url: needs a refresh token"),
    ({"oauth_token_url": None}, "needs oauth_token_url as well"),
    ({"oauth_client_secret": "x"}, "no secret stands in this file"),
    ({"token_file": "/t"}, "only one of"), ({"user": None}, "needs user as well"),
    ({"auth": "plain"}, "auth: must be one of oauthbearer, xoauth2"),
    ({"oauth_tls_roots": "/nonexistent"}, "oauth_tls_roots: /nonexistent has no certificate"),
])
def test_what_cannot_work_is_refused_at_the_start(maild, change, words):
    relay = {
        "host": "mx.example", "user": "u", "oauth_token_url": "https://id.example/t", "oauth_client_id": "c",
        "oauth_client_secret_file": "/s"} | change
    one = maild(relay={"a": {key: value for key, value in relay.items() if value is not None}})
    one.spawn()
    assert one.process.wait(timeout=20) == 78
    assert words in one.log()
