#!/usr/bin/python3
# maild, the mail-job daemon
# SPDX-License-Identifier: Apache-2.0
"""Hands one e-mail to maild, and tries again where that helps. usage: submit.py SENDER RECIPIENT SUBJECT <TEXT"""

import json
import socket
import sys
import time


def submit(job, path="/run/maild/submit.sock"):
    """The job's id once it is on disk; ValueError where maild refuses it."""
    while True:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.connect(path)
            connection.sendall(json.dumps(job).encode() + b"\n")
            line = connection.makefile().readline()
        # An empty line: maild was restarted before it could answer, so the job was perhaps not taken.
        answer = json.loads(line or '{"error": "lost", "retryable": true}')
        if "job" in answer:
            return answer["job"]
        if not answer["retryable"]:
            raise ValueError(answer["message"])
        time.sleep(answer.get("retry_after", 1))


if __name__ == "__main__":
    sender, recipient, subject = sys.argv[1:]
    print(submit({"from": sender, "to": recipient, "subject": subject, "content": sys.stdin.read()}))
