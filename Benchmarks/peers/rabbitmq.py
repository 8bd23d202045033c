# maild, the mail-job daemon
# SPDX-License-Identifier: Apache-2.0
"""RabbitMQ with a quorum queue, loaded by rabbitload.c: a message is confirmed once it is on disk."""

import os
import subprocess

from processes import PROGRAMS, Process, free_port, run_program, version_of, wait_for

PROGRAM = "/usr/lib/rabbitmq/bin/rabbitmq-server"
READY_SECONDS = 90


class RabbitMQ(Process):
    """A node of its own: its data in `directory`, its ports on the loopback interface. Erlang's name server (epmd),
    which other nodes of the machine may use too, stays; it holds nothing."""

    name = "RabbitMQ"
    settings = "a quorum queue of one node, persistent messages, publisher confirms"

    def __init__(self, directory):
        self.port, distribution = free_port(), free_port()
        (directory / "rabbitmq.conf").write_text(f"listeners.tcp.1 = 127.0.0.1:{self.port}\n")
        (directory / "enabled_plugins").write_text("[].\n")
        settings = {
            "HOME": directory, "ERL_EPMD_ADDRESS": "127.0.0.1",
            "RABBITMQ_NODENAME": f"bench{os.getpid()}@localhost", "RABBITMQ_DIST_PORT": distribution,
            "RABBITMQ_MNESIA_BASE": directory / "data", "RABBITMQ_LOG_BASE": directory / "logs",
            "RABBITMQ_CONFIG_FILE": directory / "rabbitmq.conf", "RABBITMQ_CONF_ENV_FILE": "/dev/null",
            "RABBITMQ_ENABLED_PLUGINS_FILE": directory / "enabled_plugins",
            "RABBITMQ_PID_FILE": directory / "pid",
            "RABBITMQ_SERVER_START_ARGS": "-kernel inet_dist_use_interface {127,0,0,1}",
        }
        super().__init__(["env", *(f"{name}={value}" for name, value in settings.items()), PROGRAM],
                         directory / "rabbitmq.log")

    @staticmethod
    def version():
        return version_of("dpkg-query", "-W", "-f", "rabbitmq-server ${Version}", "rabbitmq-server")

    def __enter__(self):
        wait_for(lambda: self.check_alive() and self.is_ready(), "RabbitMQ takes messages", READY_SECONDS, 0.2)
        return self

    def is_ready(self):
        """A queue can be made a while after the port is open."""
        program = PROGRAMS / "rabbitload"
        return subprocess.run([program, "-p", str(self.port), "-n", "1"], capture_output=True).returncode == 0

    def rate(self, window, messages):
        return run_program("rabbitload", "-p", self.port, "-w", window, "-n", messages)["messages_per_s"]
