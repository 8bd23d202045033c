# maild, the mail-job daemon
# SPDX-License-Identifier: Apache-2.0
"""Debian's rabbitmq-server as a child, with a node, ports and an epmd of its own, all gone at the end."""

import os
import shutil
import signal
import subprocess
from pathlib import Path

import pika
from waiting import free_port, is_listening, until

SERVER = "/usr/lib/rabbitmq/bin/rabbitmq-server"
PATIENCE = 90
"""Erlang starts in seconds where the machine is idle."""


class RabbitMQServer:
    """`tls`: files named roots, certificate and key, for a second port."""

    def __init__(self, directory, tls=None):
        self.directory = Path(directory)
        self.port, self.distribution, self.epmd = free_port(), free_port(), free_port()
        self.tls_port = free_port()
        self.tls = tls
        self.process = None
        self._configure()

    def _configure(self):
        lines = [f"listeners.tcp.1 = 127.0.0.1:{self.port}", "log.console = true", "log.file = false",
                 "vm_memory_high_watermark.absolute = 1GB", "disk_free_limit.absolute = 1MB"]
        if self.tls:
            lines += [f"listeners.ssl.1 = 127.0.0.1:{self.tls_port}",
                      f"ssl_options.cacertfile = {self.tls['roots']}",
                      f"ssl_options.certfile = {self.tls['certificate']}", f"ssl_options.keyfile = {self.tls['key']}",
                      "ssl_options.verify = verify_none"]
        (self.directory / "rabbitmq.conf").write_text("\n".join(lines) + "\n")
        (self.directory / "enabled_plugins").write_text("[].\n")

    def environment(self):
        home = self.directory / "home"
        home.mkdir(exist_ok=True)
        cookie = home / ".erlang.cookie"
        if not cookie.exists():
            cookie.write_text("MAILDTEST")
            cookie.chmod(0o400)
        return {
            "PATH": os.environ["PATH"], "HOME": str(home), "LANG": "C.UTF-8",
            "RABBITMQ_NODENAME": f"maild{self.port}@localhost", "RABBITMQ_MNESIA_BASE": str(self.directory / "data"),
            "RABBITMQ_LOG_BASE": str(self.directory), "RABBITMQ_CONFIG_FILE": str(self.directory / "rabbitmq"),
            "RABBITMQ_CONF_ENV_FILE": "/dev/null", "RABBITMQ_DIST_PORT": str(self.distribution),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(self.directory / "enabled_plugins"),
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "-kernel inet_dist_use_interface {127,0,0,1} +S 1:1",
            "ERL_EPMD_PORT": str(self.epmd), "ERL_EPMD_ADDRESS": "127.0.0.1"}

    def start(self):
        assert shutil.which("epmd") and Path(SERVER).exists(), "rabbitmq-server is missing: scripts/install-deps test"
        with open(self.directory / "rabbitmq.log", "ab") as log:
            if not is_listening(self.epmd):
                self.names = subprocess.Popen(["epmd"], env=self.environment(), stdout=log, stderr=log)
                until(lambda: is_listening(self.epmd), "epmd listens")
            # A session of its own: the scripts, the Erlang machine and its helpers end together.
            self.process = subprocess.Popen(
                [SERVER], env=self.environment(), stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                start_new_session=True)
        until(lambda: is_listening(self.port), "rabbitmq-server listens", PATIENCE,
              failed=lambda: self.process.poll() is not None)
        until(self._answers, "rabbitmq-server answers", PATIENCE)
        return self

    def _answers(self):
        try:
            self.client().close()
            return True
        except (pika.exceptions.AMQPError, OSError):
            return False

    def kill(self):
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        until(lambda: not is_listening(self.port), "the port is free")

    def clean_up(self):
        if self.process and self.process.poll() is None:
            self.kill()
        if getattr(self, "names", None):
            self.names.kill()
            self.names.wait()

    def client(self):
        return pika.BlockingConnection(pika.ConnectionParameters("127.0.0.1", self.port, heartbeat=0))


def quorum_queue(channel, name):
    channel.queue_declare(name, durable=True, arguments={"x-queue-type": "quorum"})


def taken(channel, queue):
    """[(properties, body)] of all messages that are in a queue; they are gone then."""
    found = []
    while True:
        method, properties, body = channel.basic_get(queue, auto_ack=True)
        if method is None:
            return found
        found.append((properties, body.decode()))
