# maild, the mail-job daemon
# SPDX-License-Identifier: Apache-2.0
"""aiosmtpd as the server, which is nobody's of ours: it records what it took and answers each recipient as told."""

import ssl
from email import message_from_bytes, policy
from pathlib import Path

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult
from waiting import free_port, until


class Recorder:
    """`replies` maps a recipient to the reply it gets instead of 250; a list is used up one by one."""

    def __init__(self, replies=None):
        self.replies = replies or {}
        self.greetings = []
        self.envelopes = []
        """(sender, recipients, message as bytes)"""
        self.smtputf8 = []
        """Of each envelope, whether it asked for SMTPUTF8."""

    async def handle_EHLO(self, server, session, envelope, hostname, responses):
        self.greetings.append(hostname)
        session.host_name = hostname
        return responses

    async def handle_RCPT(self, server, session, envelope, address, options):
        reply = self.replies.get(address)
        if isinstance(reply, list):
            reply = reply.pop(0) if reply else None
        if reply is not None and not reply.startswith("2"):
            return reply
        envelope.rcpt_tos.append(address)
        return reply or "250 2.1.5 ok"

    async def handle_DATA(self, server, session, envelope):
        self.smtputf8.append(envelope.smtp_utf8)
        self.envelopes.append((envelope.mail_from, list(envelope.rcpt_tos), envelope.original_content))
        return "250 2.0.0 taken"

    def messages(self):
        return [message_from_bytes(data, policy=policy.SMTP) for _, _, data in self.envelopes]

    def wait_for(self, count):
        until(lambda: len(self.envelopes) >= count, f"{count} messages; there are {len(self.envelopes)}")
        return self.envelopes


CERTIFICATES = Path(__file__).resolve().parents[1] / "MailTransportTests/Certificates"


def server_context(certificate="server.pem"):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(CERTIFICATES / certificate, CERTIFICATES / "server.key")
    return context


class AioServer:
    """`options` are aiosmtpd's own."""

    def __init__(self, replies=None, smtputf8=True, **options):
        self.recorder = Recorder(replies)
        self.port = free_port()
        self._controller = Controller(
            self.recorder, hostname="127.0.0.1", port=self.port, enable_SMTPUTF8=smtputf8, **options)

    def settings(self, **more):
        return {"aio": {"host": "127.0.0.1", "port": self.port} | more}

    def __enter__(self):
        self._controller.start()
        return self

    def __exit__(self, *_):
        self._controller.stop()


class SecureServer(AioServer):
    """Takes mail only by STARTTLS and a login."""

    def __init__(self, user, password, certificate="server.pem", **options):
        self.logins = []
        """(mechanism, user, password)"""
        self._account = (user.encode(), password.encode())
        super().__init__(
            tls_context=server_context(certificate), require_starttls=True, auth_required=True,
            authenticator=self._authenticate, **options)

    def settings(self, **more):
        return super().settings(tls="required", tls_roots=CERTIFICATES / "authority.pem", **more)

    def _authenticate(self, server, session, envelope, mechanism, data):
        self.logins.append((mechanism, data.login.decode(), data.password.decode()))
        # `handled` would mean that the reply is ours to send.
        return AuthResult(success=(data.login, data.password) == self._account, handled=False)
