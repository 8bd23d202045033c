# maild, the mail-job daemon
# SPDX-License-Identifier: Apache-2.0
"""A Postfix of its own, tuned as well as it can be: accepts by smtp-source and sendmail, deliveries into a sink."""

import os
import subprocess
import time
from pathlib import Path

from processes import Failure, free_port, run_program, version_of, wait_for

MAIN = """
compatibility_level = 3.6
queue_directory = {home}/queue
data_directory = {home}/data
command_directory = /usr/sbin
daemon_directory = /usr/lib/postfix/sbin
mail_owner = postfix
setgid_group = postdrop
myhostname = bench.localhost
mydestination =
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
mynetworks = 127.0.0.0/8
smtpd_relay_restrictions = permit_mynetworks, reject
alias_maps =
alias_database =
maillog_file = {home}/postfix.log
maillog_file_prefixes = {home}
smtpd_peername_lookup = no
in_flow_delay = 0
default_process_limit = 100
smtpd_client_connection_count_limit = 0
smtp_dns_support_level = disabled
smtp_tls_security_level = none
smtp_destination_concurrency_limit = 50
initial_destination_concurrency = 50
smtp_connection_cache_destinations = 127.0.0.1
smtp_connection_reuse_count_limit = 0
relayhost = [127.0.0.1]:{sink}
defer_transports = {deferred}
"""
MASTER = """
127.0.0.1:{port} inet n - n - - smtpd
pickup unix n - n 60 1 pickup
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
proxymap unix - - n - - proxymap
smtp unix - - n - - smtp
scache unix - - n - 1 scache
showq unix n - n - - showq
error unix - - n - - error
retry unix - - n - - error
anvil unix - - n - 1 anvil
postlog unix-dgram n - n - 1 postlogd
"""


class Postfix:
    name = "Postfix"
    settings = "in_flow_delay=0, 100 processes, connections to the sink kept, no lookups"

    def __init__(self, directory, sink=None):
        """With a sink's port it delivers there; without one it keeps what it accepts."""
        self.home, self.port = directory, free_port()
        for name in ("etc", "queue", "data"):
            (self.home / name).mkdir(parents=True)
        main = MAIN.format(home=self.home, sink=sink or 9, deferred="" if sink else "smtp")
        (self.home / "etc/main.cf").write_text(main)
        (self.home / "etc/master.cf").write_text(MASTER.format(port=self.port))
        subprocess.run(["chown", "postfix", self.home / "data"], check=True)

    @staticmethod
    def version():
        return "Postfix " + version_of("dpkg-query", "-W", "-f", "${Version}", "postfix")

    def __enter__(self):
        if os.geteuid() != 0:
            raise Failure("Postfix can be measured by root alone: it works as several users")
        self.control("start")
        return self

    def __exit__(self, *_):
        master = int((self.home / "queue/pid/master.pid").read_text())
        self.control("stop")
        wait_for(lambda: not Path(f"/proc/{master}").exists(), "Postfix has ended")

    def control(self, word):
        done = subprocess.run(["/usr/sbin/postfix", "-c", self.home / "etc", word], capture_output=True, text=True)
        if done.returncode:
            raise Failure(f"postfix {word}: {done.stderr}")

    def accept_rate(self, sessions, messages):
        return smtp_source_rate(self.port, sessions, messages)

    def sendmail_rate(self, at_once, runs, message):
        command = ["/usr/sbin/sendmail", "-C", self.home / "etc", "-i", "-f", "app@example.org", "u@bench.example"]
        return run_program("spawnload", "-n", runs, "-p", at_once, "-i", message, *command)["runs_per_s"]

    def delivery_rate(self, sink, sessions, messages):
        """From the first session to the last message in the sink."""
        start = time.monotonic()
        smtp_source_rate(self.port, sessions, messages)
        wait_for(lambda: sink.messages() >= messages, f"{messages} are delivered", 600, 0.02)
        return messages / (time.monotonic() - start)


def smtp_source_rate(port, sessions, messages):
    """Messages a second over kept sessions (-d), each answered before the next."""
    start = time.monotonic()
    done = subprocess.run(
        ["smtp-source", "-d", "-s", str(sessions), "-m", str(messages), "-l", "1024", "-f", "app@example.org",
         "-t", "u@bench.example", f"127.0.0.1:{port}"], capture_output=True, text=True)
    if done.returncode:
        raise Failure(f"smtp-source: {done.stderr}")
    return messages / (time.monotonic() - start)
