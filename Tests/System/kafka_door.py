# maild, the mail-job daemon
# SPDX-License-Identifier: Apache-2.0
"""What stands before a broker that has neither TLS nor logins: ends TLS, asks for SASL/PLAIN (RFC 4616) in Kafka's
words, and hands all else through. https://kafka.apache.org/protocol"""

import socket
import ssl
import struct
import subprocess
import threading
from pathlib import Path

from waiting import free_port

SASL_HANDSHAKE, API_VERSIONS, SASL_AUTHENTICATE = 17, 18, 36
UNSUPPORTED_SASL_MECHANISM, SASL_AUTHENTICATION_FAILED = 33, 58


def text(value):
    return struct.pack(">h", len(value)) + value.encode()


class KafkaDoor:
    """`login`: (user, password), or None where everybody may pass. `logins`: what was tried."""

    def __init__(self, directory, login=None):
        self.port = free_port()
        self.certificate, self.key = Path(directory) / "door.pem", Path(directory) / "door.key"
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
             "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost", "-keyout", self.key, "-out",
             self.certificate], check=True, capture_output=True)
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(self.certificate, self.key)
        self.login = login
        self.logins = []
        self.broker = None

    @property
    def address(self):
        return f"localhost:{self.port}"

    def open(self, broker):
        """Leads to the port `broker` of this machine from now on."""
        self.broker = broker
        self.listener = socket.create_server(("127.0.0.1", self.port))
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def close(self):
        self.listener.close()

    def _accept(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client):
        try:
            with self.context.wrap_socket(client, server_side=True) as client, \
                    socket.create_connection(("127.0.0.1", self.broker)) as broker:
                threading.Thread(target=self._answers, args=(broker, client), daemon=True).start()
                is_known = self.login is None
                while frame := self._frame(client):
                    key, version, number = struct.unpack(">hhi", frame[:8])
                    if is_known or key == API_VERSIONS:
                        broker.sendall(struct.pack(">i", len(frame)) + frame)
                    elif key == SASL_HANDSHAKE:
                        self._reply(client, number, struct.pack(">hi", 0, 1) + text("PLAIN"))
                    elif key == SASL_AUTHENTICATE:
                        is_known = self._authenticate(client, number, version, frame)
                    else:
                        return
        except OSError:
            pass  # Who hangs up, or does not trust the certificate.

    def _authenticate(self, client, number, version, frame):
        [length] = struct.unpack(">h", frame[8:10])  # The client's id, then the token.
        token = frame[10 + max(length, 0) + 4:]
        login = tuple(part.decode() for part in token.split(b"\0")[1:])
        self.logins.append(login)
        is_right = login == self.login
        answer = struct.pack(">h", 0 if is_right else SASL_AUTHENTICATION_FAILED)
        answer += struct.pack(">h", -1) if is_right else text("wrong user or password")
        answer += struct.pack(">i", 0)
        if version > 0:
            answer += struct.pack(">q", 0)
        self._reply(client, number, answer)
        return is_right

    @staticmethod
    def _reply(client, number, answer):
        client.sendall(struct.pack(">ii", 4 + len(answer), number) + answer)

    @staticmethod
    def _answers(broker, client):
        try:
            while piece := broker.recv(65536):
                client.sendall(piece)
        except OSError:
            pass

    @classmethod
    def _frame(cls, client):
        head = cls._exactly(client, 4)
        return head and cls._exactly(client, struct.unpack(">i", head)[0])

    @staticmethod
    def _exactly(client, count):
        found = b""
        while len(found) < count:
            piece = client.recv(count - len(found))
            if not piece:
                return b""
            found += piece
        return found
