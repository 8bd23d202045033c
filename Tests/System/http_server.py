# maild, the mail-job daemon
# SPDX-License-Identifier: Apache-2.0
"""An HTTP server that is Python's own: it records what it was asked and answers as a test says."""

import json
import socket
import threading
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from time import monotonic

from aio_server import server_context
from waiting import until


@dataclass
class Asked:
    method: str
    path: str
    headers: dict
    """Names in small letters."""
    body: bytes
    connection: int
    """The client's port."""
    at: float

    @property
    def json(self):
        return json.loads(self.body)


class HTTPServer:
    """`answers` are used up one by one, the last one stays: (status, headers, body), or a function of the handler that
    answers by itself. Listens on loopback; `certificate`, where given, makes it speak TLS."""

    def __init__(self, *answers, certificate=None, address="127.0.0.1"):
        self.answers = list(answers) or [(200, {}, b"ok")]
        self.asked = []
        self.connections = 0
        self.hanging = threading.Event()
        """Set: those that hang go on."""
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def setup(self):
                super().setup()
                outer.connections += 1

            def do_POST(self):
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                outer.asked.append(Asked(
                    self.command, self.path, {name.lower(): value for name, value in self.headers.items()}, body,
                    self.client_address[1], monotonic()))
                answer = outer.answers.pop(0) if len(outer.answers) > 1 else outer.answers[0]
                answer(self) if callable(answer) else self.answer(*answer)

            do_PUT = do_POST

            def answer(self, status, headers, body):
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        class Server(ThreadingHTTPServer):
            daemon_threads = True
            request_queue_size = 256

            def handle_error(self, request, client_address):
                pass  # A client that hangs up is what some tests are about.

        self._server = Server((address, 0), Handler)
        self._context = server_context(certificate) if certificate else None
        if self._context:
            self._server.socket = self._context.wrap_socket(self._server.socket, server_side=True)
        self.port = self._server.server_address[1]

    def url(self, path="/hook", host="127.0.0.1"):
        return f"http{'s' if self._context else ''}://{host}:{self.port}{path}"

    def wait_for(self, count, seconds=20):
        until(lambda: len(self.asked) >= count, f"{count} requests; there are {len(self.asked)}", seconds)
        return self.asked

    def __enter__(self):
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *_):
        self.hanging.set()
        self._server.shutdown()
        self._server.server_close()

    # Answers that are none, or strange

    def hangs(self, handler):
        """Says nothing until the test is over."""
        self.hanging.wait(60)
        handler.close_connection = True

    @staticmethod
    def closes(handler):
        handler.close_connection = True
        handler.connection.shutdown(socket.SHUT_RDWR)

    @staticmethod
    def says(raw, then_closes=True):
        """Octets that need be no HTTP."""
        def answer(handler):
            handler.wfile.write(raw)
            handler.wfile.flush()
            if then_closes:
                HTTPServer.closes(handler)
        return answer


class DeafServer:
    """Takes connections into its backlog and never says or reads a word."""

    def __enter__(self):
        self._socket = socket.socket()
        self._socket.bind(("127.0.0.1", 0))
        self._socket.listen(128)
        self.port = self._socket.getsockname()[1]
        return self

    def __exit__(self, *_):
        self._socket.close()
