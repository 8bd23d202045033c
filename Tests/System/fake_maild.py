# maild, the mail-job daemon
# SPDX-License-Identifier: Apache-2.0
"""A stand-in for maild: both sockets, scripted answers, and a record of what came in."""

import json
import socket
import threading

JOB = "0G2Q5X7J1C0A4"


def job_id(number):
    """The id given to the number-th line of a connection, counted from 1."""
    return f"{number:013d}"


class FakeMaild:
    """Listens on DIR/submit.sock and DIR/control.sock until closed.

    answer: bytes without a newline for (number, line), counted from 1 on each connection; None closes the
    connection at once. replies: method without its interface -> parameters, or a function from the call's
    parameters to a whole reply, or to a list of them.
    """

    def __init__(self, directory):
        self.submit_path = str(directory / "submit.sock")
        self.control_path = str(directory / "control.sock")
        self.answer = self.answer_as_documented
        self.greeting = None
        self.replies = {}
        self.lines = []
        self.calls = []
        self.listeners = [
            self._listen(self.submit_path, self._serve_submit),
            self._listen(self.control_path, self._serve_control),
        ]

    def close(self):
        for listener in self.listeners:
            listener.close()

    def _listen(self, path, serve):
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        listener.bind(path)
        listener.listen(64)
        threading.Thread(target=self._accept, args=(listener, serve), daemon=True).start()
        return listener

    @staticmethod
    def _accept(listener, serve):
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=serve, args=(connection,), daemon=True).start()

    @staticmethod
    def answer_as_documented(number, line):
        try:
            job = json.loads(line)
        except ValueError as error:
            return json.dumps({"error": "parse_error", "message": str(error), "retryable": False}).encode()
        if "to" not in job:
            error = {"error": "invalid_job", "message": "to: missing", "field": "to", "retryable": False}
            return json.dumps(error).encode()
        answer = {"job": job_id(number), "state": "scheduled" if "delay" in job else "ready"}
        if "ref" in job:
            answer["ref"] = job["ref"]
        return json.dumps(answer, separators=(",", ":")).encode()

    def _serve_submit(self, connection):
        # One thread that reads and writes in turn: a client that does not read while it writes hangs here.
        with connection, connection.makefile("rb") as lines:
            try:
                if self.greeting is not None:
                    connection.sendall(self.greeting)
                    return
                for number, line in enumerate(lines, 1):
                    self.lines.append(line)
                    answer = self.answer(number, line)
                    if answer is None:
                        return
                    connection.sendall(answer + b"\n")
            except (BrokenPipeError, ConnectionResetError):
                return

    def _serve_control(self, connection):
        with connection:
            buffer = b""
            while piece := connection.recv(65536):
                buffer += piece
                while b"\0" in buffer:
                    message, buffer = buffer.split(b"\0", 1)
                    reply = self._reply(json.loads(message))
                    if reply is None:
                        return
                    for each in reply if isinstance(reply, list) else [reply]:
                        connection.sendall(json.dumps(each).encode() + b"\0")

    def _reply(self, call):
        self.calls.append(call)
        reply = self.replies.get(call["method"].rsplit(".", 1)[1])
        if callable(reply):
            return reply(call.get("parameters", {}))
        if reply is None:
            return {
                "error": "org.varlink.service.MethodNotFound",
                "parameters": {"method": call["method"]},
            }
        return {"parameters": reply}
