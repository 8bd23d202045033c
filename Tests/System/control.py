# maild, the mail-job daemon
# SPDX-License-Identifier: Apache-2.0
"""The operators' socket by hand: Varlink is one JSON object a message, ended by a NUL."""

import json
import socket

from waiting import PATIENCE

INTERFACE = "io.maild.Control"


class ControlError(Exception):
    """`name` in full; `parameters` as they came."""

    def __init__(self, name, parameters):
        super().__init__(f"{name} {parameters}")
        self.name = name
        self.parameters = parameters


class Control:
    def __init__(self, path):
        self.path = str(path)

    def call(self, method, **parameters):
        """`method` of our interface where it has no dot in it."""
        name = method if "." in method else f"{INTERFACE}.{method}"
        [reply] = self.exchange(json.dumps({"method": name, "parameters": parameters}).encode() + b"\0", 1)
        if "error" in reply:
            raise ControlError(reply["error"], reply.get("parameters", {}))
        return reply["parameters"]

    def exchange(self, message, count):
        """Sends bytes and returns `count` replies, fewer if the connection ends before."""
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(PATIENCE)
            connection.connect(self.path)
            connection.sendall(message)
            received = b""
            while received.count(b"\0") < count:
                chunk = connection.recv(1 << 16)
                if not chunk:
                    break
                received += chunk
        return [json.loads(reply) for reply in received.split(b"\0")[:-1]]
