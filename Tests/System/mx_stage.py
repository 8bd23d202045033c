# maild, the mail-job daemon
# SPDX-License-Identifier: Apache-2.0
"""What tests of delivery by MX share: a name server, mail servers on addresses of their own at one port, and a maild
that delivers to them."""

import contextlib
import socket

import pytest
from dns_zones import NameServer
from submission import job
from waiting import until


class Stage:
    """`host(2)` is a mail server at 127.0.0.2; all have the same port."""

    def __init__(self, make_maild, make_judge):
        self.make_maild, self.make_judge = make_maild, make_judge
        self.names = NameServer().start()
        self.port = 0
        self.maild = None

    def host(self, number, **options):
        address = number if isinstance(number, str) else f"127.0.0.{number}"
        server = self.make_judge(host=address, port=self.port, **options)
        self.port = server.port
        return server

    def relay(self, **more):
        return {"direct": {"mx": True, "port": self.port, "private_addresses": True} | more}

    def start(self, relay=None, **settings):
        self.maild = self.make_maild(
            **{"relay": self.relay(**(relay or {})), "dns": self.names.settings} | settings).start()
        return self.maild

    def submit(self, *recipients, **fields):
        """One job; its id."""
        with self.maild.submission() as client:
            return client.ask(job(to=list(recipients), **fields))["job"]

    def submit_all(self, *jobs):
        with self.maild.submission() as client:
            return [answer["job"] for answer in client.send(*jobs).answers(len(jobs))]

    def attempt(self, name, state):
        """The last attempt at a job that has come to `state`, and the only fate where there is one."""
        attempt = self.maild.wait_for_state(name, state)["history"][-1]
        fate = attempt["fates"][0]
        return attempt, f"{fate['code']} {fate['enhanced']} {fate['text']}"

    def deliver(self, *recipients, **fields):
        """Submits a job and waits until it is delivered; its attempt."""
        return self.attempt(self.submit(*recipients, **fields), "delivered")[0]

    @property
    def direct(self):
        return next(relay for relay in self.maild.control.call("Relays")["relays"] if relay["name"] == "direct")

    def wait_for_deferral(self, name, words):
        """Until the job was tried and put off for this reason."""
        def tried():
            history = self.maild.show(name)["history"]
            return history and words in history[-1]["fates"][0]["text"] and history[-1]
        return until(tried, f"a deferral for {words}; it is {self.maild.show(name)}")


@pytest.fixture
def stage(maild, judge):
    made = Stage(maild, judge)
    yield made
    made.names.stop()


@contextlib.contextmanager
def black_hole(address, port):
    """Nobody answers there, and nobody refuses: the line for accept is full, so that Linux drops what knocks."""
    with contextlib.ExitStack() as stack:
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        listener = stack.enter_context(socket.socket(family))
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((address, port))
        listener.listen(0)
        for _ in range(4):
            knocker = stack.enter_context(socket.socket(family))
            knocker.setblocking(False)
            knocker.connect_ex((address, port))
        yield
