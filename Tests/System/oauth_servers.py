# maild, the mail-job daemon
# SPDX-License-Identifier: Apache-2.0
"""An OAuth 2 token endpoint, and an SMTP server that takes its tokens: neither is ours."""

import base64
import json
from urllib.parse import parse_qs

from aio_server import CERTIFICATES, AioServer, server_context
from aiosmtpd.smtp import AuthResult
from http_server import HTTPServer


class TokenEndpoint(HTTPServer):
    """Gives out access tokens `token-1`, `token-2`, … each good for `lifetime` seconds; with `rotates` a new refresh
    token with each. `trouble`, where set, is the answer in their place."""

    def __init__(self, refresh_token="refresh-0", lifetime=3600, rotates=False, **options):
        super().__init__(self._give, **options)
        self.refresh_token, self.lifetime, self.rotates = refresh_token, lifetime, rotates
        self.trouble = None
        self.valid = set()
        """Access tokens that the SMTP server takes."""
        self.count = 0

    @property
    def forms(self):
        return [{name: values[0] for name, values in parse_qs(asked.body.decode()).items()} for asked in self.asked]

    def _give(self, handler):
        if self.trouble:
            return self.trouble(handler) if callable(self.trouble) else handler.answer(*self.trouble)
        form = self.forms[-1]
        if form["grant_type"] == "refresh_token" and form["refresh_token"] != self.refresh_token:
            return handler.answer(400, {}, json.dumps({
                "error": "invalid_grant", "error_description": "AADSTS70008: the refresh token\r\nhas expired"}).encode())
        self.count += 1
        grant = {"access_token": f"token-{self.count}", "token_type": "Bearer", "expires_in": self.lifetime}
        self.valid.add(grant["access_token"])
        if self.rotates:
            self.refresh_token = grant["refresh_token"] = f"refresh-{self.count}"
        handler.answer(200, {"Content-Type": "application/json", "Cache-Control": "no-store"}, json.dumps(grant).encode())


class BearerServer(AioServer):
    """Takes mail by STARTTLS and a login with a token of `endpoint`."""

    def __init__(self, endpoint, user="app@example.org", mechanism="XOAUTH2", **options):
        self.endpoint, self.user = endpoint, user
        self.logins = []
        """The token of each login, in order."""
        others = {"PLAIN", "LOGIN"} | ({"XOAUTH2", "OAUTHBEARER"} - {mechanism})
        super().__init__(
            tls_context=server_context(), require_starttls=True, auth_required=True, auth_exclude_mechanism=others,
            **options)
        # Methods of the handler named auth_… are what aiosmtpd offers.
        recorder = self.recorder
        recorder.auth_XOAUTH2 = lambda server, args: self._login(server, args, "user=", b"")
        recorder.auth_OAUTHBEARER = lambda server, args: self._login(server, args, "n,a=", b"\x01")

    def settings(self, **more):
        return super().settings(tls="required", tls_roots=CERTIFICATES / "authority.pem", **more)

    async def _login(self, server, args, beginning, farewell):
        parts = base64.b64decode(args[1]).decode().split("\x01")
        token = next(part for part in parts if part.startswith("auth=Bearer ")).removeprefix("auth=Bearer ")
        self.logins.append(token)
        if parts[0].rstrip(",") == beginning + self.user and token in self.endpoint.valid:
            return AuthResult(success=True)
        # RFC 7628 §3.2.2, and Google's way: the error is a challenge, the failure comes after its answer.
        answer = await server.challenge_auth(json.dumps({"status": "invalid_token"}), encode_to_b64=True)
        assert answer == farewell, answer
        return AuthResult(success=False, handled=False)
