# maild, the mail-job daemon
# SPDX-License-Identifier: Apache-2.0
"""aiosmtpd as the server, which is nobody's of ours: it records what it took and answers each recipient as told."""

from email import message_from_bytes, policy

from aiosmtpd.controller import Controller
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


class AioServer:
    def __init__(self, replies=None, smtputf8=True):
        self.recorder = Recorder(replies)
        self.port = free_port()
        self._controller = Controller(self.recorder, hostname="127.0.0.1", port=self.port, enable_SMTPUTF8=smtputf8)

    def settings(self, **more):
        return {"aio": {"host": "127.0.0.1", "port": self.port} | more}

    def __enter__(self):
        self._controller.start()
        return self

    def __exit__(self, *_):
        self._controller.stop()
