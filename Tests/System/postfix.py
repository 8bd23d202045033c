# maild, the mail-job daemon
# SPDX-License-Identifier: Apache-2.0
"""A real Postfix of the test's own: private configuration and queue, a loopback port, mail into a Maildir."""

import mailbox
import os
import subprocess
import tempfile
from pathlib import Path

from aio_server import CERTIFICATES
from waiting import free_port, is_listening, until

MAIN = """
compatibility_level = 3.6
queue_directory = {home}/queue
data_directory = {home}/data
command_directory = /usr/sbin
daemon_directory = /usr/lib/postfix/sbin
mail_owner = postfix
setgid_group = postdrop
myhostname = judge.example
mydestination =
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
mynetworks = 127.0.0.0/8
smtpd_tls_security_level = may
smtpd_tls_cert_file = {certificates}/server.pem
smtpd_tls_key_file = {certificates}/server.key
smtpd_relay_restrictions = permit_mynetworks, reject
smtpd_sasl_local_domain = judge.example
alias_maps =
alias_database =
maillog_file = {home}/postfix.log
maillog_file_prefixes = {home}
virtual_mailbox_domains = example.com
virtual_mailbox_base = {home}
virtual_mailbox_maps = inline:{{ {{ a@example.com = inbox/ }}, {{ b@example.com = inbox/ }} }}
virtual_minimum_uid = 1
virtual_uid_maps = static:{owner}
virtual_gid_maps = static:{owner}
"""

MASTER = """
127.0.0.1:{port} inet n - n - - smtpd
127.0.0.1:{secure} inet n - n - - smtpd
  -o smtpd_tls_security_level=encrypt
  -o smtpd_sasl_auth_enable=yes
  -o smtpd_relay_restrictions=permit_sasl_authenticated,reject
pickup unix n - n 60 1 pickup
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
tlsmgr unix - - n 1000? 1 tlsmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
verify unix - - n - 1 verify
flush unix n - n 1000? 0 flush
proxymap unix - - n - - proxymap
smtp unix - - n - - smtp
relay unix - - n - - smtp
showq unix n - n - - showq
error unix - - n - - error
retry unix - - n - - error
discard unix - - n - - discard
virtual unix - n n - - virtual
anvil unix - - n - 1 anvil
postlog unix-dgram n - n - 1 postlogd
"""

# Cyrus SASL, which checks logins for Debian's Postfix; Debian has its file below that of the configuration.
SASL = """
pwcheck_method: auxprop
auxprop_plugin: sasldb
sasldb_path: {home}/etc/sasldb2
mech_list: SCRAM-SHA-256 CRAM-MD5 PLAIN LOGIN
"""


def as_root(*command):
    """Postfix starts as root and works as several users; who tests as somebody else is asked for sudo."""
    prefix = [] if os.geteuid() == 0 else ["sudo"]
    subprocess.run([*prefix, *map(str, command)], check=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)


class Postfix:
    """`start` it, give its `port` to a relay, look into `messages`, `stop` it."""

    def __init__(self):
        # Not below pytest's own directory, which only its owner may enter.
        self.home = Path(tempfile.mkdtemp(prefix="maild-postfix-"))
        self.port = free_port()
        self.secure_port = free_port()
        """There mail is taken only by STARTTLS and after a login as `app` with `s3cret`."""

    def start(self):
        owner = os.geteuid() or 65534
        self.home.chmod(0o755)
        for name in ("etc/sasl", "queue", "data", "inbox/cur", "inbox/new", "inbox/tmp"):
            (self.home / name).mkdir(parents=True)
        (self.home / "etc/main.cf").write_text(
            MAIN.format(home=self.home, owner=owner, certificates=CERTIFICATES))
        (self.home / "etc/master.cf").write_text(MASTER.format(port=self.port, secure=self.secure_port))
        (self.home / "etc/sasl/smtpd.conf").write_text(SASL.format(home=self.home))
        database = self.home / "etc/sasldb2"
        subprocess.run(
            ["/usr/sbin/saslpasswd2", "-p", "-c", "-u", "judge.example", "-f", database, "app"], input=b"s3cret",
            check=True, capture_output=True)
        database.chmod(0o644)
        as_root("chown", "-R", "root", self.home / "etc", self.home / "queue")
        as_root("chown", "postfix", self.home / "data")
        as_root("chown", "-R", owner, self.home / "inbox")
        # Returns when the master has answered for itself.
        as_root("/usr/sbin/postfix", "-c", self.home / "etc", "start")
        assert is_listening(self.port), f"Postfix does not listen on port {self.port}"
        return self

    def messages(self):
        return list(mailbox.Maildir(self.home / "inbox", create=False))

    def raw_messages(self):
        return [path.read_bytes() for path in sorted((self.home / "inbox/new").iterdir())]

    def log(self):
        path = self.home / "postfix.log"
        return path.read_text(errors="replace") if path.exists() else ""

    def stop(self):
        """Ends the master by its pid; it takes its children along."""
        note = self.home / "queue/pid/master.pid"
        if note.exists():
            master = int(note.read_text())
            as_root("sh", "-c", f"kill {master}")  # /bin/kill is no part of a minimal system
            until(lambda: not Path(f"/proc/{master}").exists(), "Postfix has ended")
        as_root("rm", "-rf", self.home)
