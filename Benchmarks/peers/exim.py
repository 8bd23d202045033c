# maild, the mail-job daemon
# SPDX-License-Identifier: Apache-2.0
"""Debian's Exim: accepts by smtp-source, deliveries into a sink."""

import socket
import subprocess
import time

from peers.postfix import smtp_source_rate
from peers.root import make_root, remove_root, unpacked_version, write
from processes import Process, free_port, wait_for

CONFIGURATION = """
primary_hostname = bench.localhost
local_interfaces = <; 127.0.0.1.{port}
daemon_smtp_ports = {port}
spool_directory = /spool
log_file_path = /log/%slog
pid_file_path = /run/exim.pid
keep_environment =
tls_advertise_hosts =
pipelining_advertise_hosts = *
smtp_accept_max = 200
smtp_accept_queue_per_connection = 0
smtp_accept_max_per_connection = 0
remote_max_parallel = 50
queue_run_max = 50
split_spool_directory = true
{queue_only}
acl_smtp_rcpt = accept
acl_smtp_data = accept
begin routers
all:
  driver = manualroute
  route_list = * 127.0.0.1
  transport = sink
  self = send
begin transports
sink:
  driver = smtp
  port = {sink}
  hosts_avoid_tls = *
  connection_max_messages = 0
"""


class Exim(Process):
    name = "Exim"
    settings = "no TLS, no lookups, split spool, smtp_accept_queue_per_connection=0"

    def __init__(self, directory, sink=None):
        """With a sink's port it delivers there at once; without one it keeps what it accepts."""
        self.root, self.port = make_root(directory / "root"), free_port()
        write(self.root, "etc/exim4/exim4.conf", CONFIGURATION.format(
            port=self.port, sink=sink or 9, queue_only="" if sink else "queue_only = true"))
        for name in ("spool", "log"):
            subprocess.run(["install", "-d", "-o", "65534", "-g", "65534", self.root / name], check=True)
        super().__init__(["chroot", self.root, "/usr/sbin/exim4", "-bdf", "-q10m"], directory / "exim.log")

    @staticmethod
    def version():
        return "Exim " + unpacked_version("exim4-daemon-light")

    def __enter__(self):
        wait_for(lambda: self.check_alive() and self.is_listening(), "Exim listens")
        return self

    def __exit__(self, *raised):
        super().__exit__(*raised)
        remove_root(self.root)

    def is_listening(self):
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def accept_rate(self, sessions, messages):
        return smtp_source_rate(self.port, sessions, messages)

    def delivery_rate(self, sink, sessions, messages):
        start = time.monotonic()
        smtp_source_rate(self.port, sessions, messages)
        wait_for(lambda: sink.messages() >= messages, f"{messages} are delivered", 600, 0.02)
        return messages / (time.monotonic() - start)
