# maild, the mail-job daemon
# SPDX-License-Identifier: Apache-2.0
"""An SMTP server that judges its client: CRLF only, no command ahead of its reply unless PIPELINING was offered,
EHLO first, QUIT at the end. It records everything and fails in whatever way a test asks for."""

import asyncio
import re
import threading
from dataclasses import dataclass, field

from waiting import until

DROP = object()
"""In place of a reply: the connection ends without one."""


@dataclass
class Received:
    """One message that was answered, as the client meant it (dots unstuffed)."""

    sender: str
    recipients: list
    data: bytes
    session: int

    @property
    def message_id(self):
        found = re.search(rb"(?im)^Message-ID:\s*(<[^>]*>)", self.data)
        return found and found.group(1).decode()


@dataclass
class Session(asyncio.Protocol):
    server: "SMTPJudge"
    number: int
    commands: list = field(default_factory=list)
    """(verb, argument) in order."""
    writes: list = field(default_factory=list)
    """Whatever arrived at once: bytes."""
    ended_by: str = None
    """"QUIT", "drop" (by us) or "client" (without a QUIT)."""

    def connection_made(self, transport):
        self.transport = transport
        self.buffer = bytearray()
        self.busy = self.in_data = self.greeted = self.mail_refused = False
        self.envelope = None
        self.reply(self.server.greeting)

    def connection_lost(self, _):
        self.ended_by = self.ended_by or "client"
        self.server.ended(self)

    def data_received(self, data):
        self.writes.append(bytes(data))
        self.buffer += data
        self.read_on()

    def read_on(self):
        """Works until the buffer is used up or a reply is on its way."""
        while not self.busy and not self.transport.is_closing():
            step = self.read_message() if self.in_data else self.read_command()
            if not step:
                return

    def read_command(self):
        end = self.buffer.find(b"\n")
        if end < 0:
            return False
        line = bytes(self.buffer[:end + 1])
        del self.buffer[:end + 1]
        if not line.endswith(b"\r\n") or len(line) > 1000:
            self.server.blame(self, f"a line that is none: {line[:100]}")
        verb, _, argument = line.strip().decode("utf-8").partition(" ")
        verb = verb.upper()
        self.commands.append((verb, argument))
        self.after(lambda: self.obey(verb, argument))
        return True

    def read_message(self):
        """RFC 5321 §4.1.1.4: CRLF . CRLF ends the data; the first CRLF may be DATA's own."""
        if self.buffer.startswith(b".\r\n"):
            data, size = b"", 3
        else:
            end = self.buffer.find(b"\r\n.\r\n")
            if end < 0:
                return False
            data, size = bytes(self.buffer[:end + 2]), end + 5
        del self.buffer[:size]
        if re.search(rb"(?<!\r)\n|\r(?!\n)", data):
            self.server.blame(self, "a bare CR or LF in the data")
        sender, recipients = self.envelope
        message = Received(sender, recipients, re.sub(rb"(?m)^\.", b"", data), self.number)
        self.in_data, self.envelope = False, None
        self.busy = True
        self.server.arrived(self, message)
        return True

    def after(self, action):
        """Acts after the server's patience: long enough for a command that comes too early to be seen."""
        self.busy = True
        if self.server.patience:
            asyncio.get_running_loop().call_later(self.server.patience, action)
        else:
            action()

    def obey(self, verb, argument):
        ahead = bytes(self.buffer)
        allowed = self.server.pipelining and verb in ("MAIL", "RCPT", "RSET")
        if ahead and not allowed:
            self.server.blame(self, f"{ahead[:60]} before the reply to {verb}")
        refusal = self.server.script(self, verb, argument)
        if verb == "MAIL":
            self.mail_refused = refusal is not None
        self.reply(refusal or self.usual(verb, argument))

    def usual(self, verb, argument):
        if verb in ("EHLO", "HELO"):
            self.greeted, self.envelope = True, None
            return self.server.ehlo_reply()
        if verb == "QUIT":
            self.ended_by = "QUIT"
            return "221 2.0.0 bye"
        if verb == "MAIL" and self.greeted and self.envelope is None:
            self.envelope = (address(argument, "FROM"), [])
            return "250 2.1.0 ok"
        if verb == "RCPT" and self.envelope is not None:
            self.envelope[1].append(address(argument, "TO"))
            return "250 2.1.5 ok"
        if verb == "DATA" and self.envelope is not None:
            if not self.envelope[1]:
                return "554 5.5.1 no valid recipients"
            self.in_data = True
            return "354 go on"
        if verb in ("RSET", "NOOP"):
            self.envelope = None if verb == "RSET" else self.envelope
            return "250 2.0.0 ok"
        # Who pipelines could not know yet that MAIL was refused (RFC 2920 §3.1).
        if not (self.server.pipelining and self.mail_refused and verb in ("RCPT", "DATA")):
            self.server.blame(self, f"{verb} {argument} out of order")
        return "503 5.5.1 out of order"

    def reply(self, text):
        """Says `text` and reads on."""
        self.busy = False
        if self.transport.is_closing():
            return
        if text is DROP:
            self.ended_by = "drop"
            self.transport.abort()
            return
        self.transport.write(text.encode() + b"\r\n")
        if text.startswith(("221", "421")):
            self.transport.close()
        else:
            asyncio.get_running_loop().call_soon(self.read_on)


def address(argument, keyword):
    """RFC 5321 §4.1.1.2–3: no blank before the path."""
    found = re.match(rf"(?i){keyword}:<([^>]*)>( .*)?$", argument)
    assert found, argument
    return found.group(1)


def to_recipients(replies):
    """A script that answers RCPT by the recipient's address; the dictionary may change meanwhile."""
    def script(_, verb, argument):
        return replies.get(address(argument, "TO")) if verb == "RCPT" else None
    return script


class SMTPJudge:
    """Runs in a thread of its own. `script(session, verb, argument)` may return a reply of its own, or DROP, or None;
    for the end of the data the verb is "." and the argument the message."""

    def __init__(self, port=0, pipelining=True, extensions=("8BITMIME", "SMTPUTF8", "ENHANCEDSTATUSCODES"),
                 script=lambda session, verb, argument: None, patience=0.0, hold=False, greeting="220 judge ESMTP",
                 host="127.0.0.1", namespace=None):
        """`namespace`: of the network that it is to listen in (network.py)."""
        self.host, self.namespace = host, namespace
        self.port, self.pipelining, self.script = port, pipelining, script
        self.extensions, self.patience, self.greeting = extensions, patience, greeting
        self.hold = hold
        """Messages wait for `release` before they are answered."""
        self.sessions, self.messages, self.held, self.faults = [], [], [], []
        self.holding_most = 0
        self.open = 0

    def settings(self, **more):
        """For `relay=`: this server as the only relay."""
        return {"judge": {"host": self.host, "port": self.port} | more}

    def ehlo_reply(self):
        words = ["judge.example", *(["PIPELINING"] if self.pipelining else []), *self.extensions]
        return "\r\n".join(f"250{'-' if index < len(words) - 1 else ' '}{word}" for index, word in enumerate(words))

    def start(self):
        self.loop = asyncio.new_event_loop()
        listening = threading.Event()

        async def listen():
            self.listener = await self.loop.create_server(self._session, self.host, self.port, backlog=1024)
            self.port = self.listener.sockets[0].getsockname()[1]
            listening.set()

        def run():
            if self.namespace:
                self.namespace.enter()
            self.loop.run_until_complete(listen())
            self.loop.run_forever()

        self.thread = threading.Thread(target=run, daemon=True)
        self.thread.start()
        assert listening.wait(10), "the SMTP server did not start"
        return self

    def stop(self):
        """Refuses new connections and drops the open ones."""
        if self.thread is None:
            return

        def end():
            self.listener.close()
            for session in self.sessions:
                session.transport.abort()
            self.loop.call_soon(self.loop.stop)

        self.loop.call_soon_threadsafe(end)
        self.thread.join(10)
        self.thread = None

    def _session(self):
        self.sessions.append(Session(self, len(self.sessions)))
        self.open += 1
        return self.sessions[-1]

    def ended(self, session):
        self.open -= 1
        self.held = [(holder, message) for holder, message in self.held if holder is not session]

    def blame(self, session, fault):
        self.faults.append(f"session {session.number}: {fault}")

    def arrived(self, session, message):
        if self.hold:
            self.held.append((session, message))
            self.holding_most = max(self.holding_most, len(self.held))
        else:
            self._take(session, message)

    def _take(self, session, message):
        reply = self.script(session, ".", message) or "250 2.0.0 taken"
        if reply is not DROP and reply.startswith("250"):
            self.messages.append(message)
        session.reply(reply)

    def release(self, count=None):
        """Answers the first `count` held messages, or all; and holds no more where it is all."""
        def act():
            self.hold = self.hold and count is not None
            free, self.held = self.held[:count], self.held[len(self.held) if count is None else count:]
            for session, message in free:
                self._take(session, message)
        self.loop.call_soon_threadsafe(act)

    def wait_for_held(self, count):
        until(lambda: len(self.held) >= count, f"{count} messages are held, there are {len(self.held)}")

    def wait_for_messages(self, count, seconds=30):
        until(lambda: len(self.messages) >= count, f"{count} messages; there are {len(self.messages)}", seconds)
        return self.messages

    def verbs(self):
        return [verb for session in self.sessions for verb, _ in session.commands]
