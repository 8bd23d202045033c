# maild, the mail-job daemon
# SPDX-License-Identifier: Apache-2.0
"""Debian's Exim, OpenSMTPD, Dovecot and OpenDKIM, which cannot be installed beside Postfix, or ask a DNS that is no
test's: unpacked by scripts/install-deps into `.servers/tree`, each started in a root directory of its own that holds
the same files by hard links."""

import json
import mailbox
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from aio_server import CERTIFICATES
from maild import ROOT
from postfix import as_root
from waiting import free_port, is_listening, until

HOME = ROOT / ".servers"
OWNER = os.geteuid() or 65534
"""Who delivers, so that a test may read what was delivered."""

PASSWD = f"""root:x:0:0::/:/bin/sh
box:x:{OWNER}:{OWNER}::/inbox:/bin/sh
Debian-exim:x:{OWNER}:{OWNER}::/spool:/bin/false
dovecot:x:9901:9901::/:/bin/false
dovenull:x:9902:9902::/:/bin/false
opensmtpd:x:9903:9903::/var/lib/opensmtpd/empty:/bin/false
opensmtpq:x:9904:9904::/var/lib/opensmtpd/empty:/bin/false
"""
DEVICES = {"null": (1, 3), "zero": (1, 5), "random": (1, 8), "urandom": (1, 9)}


class Root:
    """A root directory of its own, in which programs run."""

    folders = ()
    """Directories that they need, with their owners."""
    tree = "tree"

    def make(self, name_server=None):
        """`name_server`: the address that is asked for names."""
        self.root = Path(tempfile.mkdtemp(prefix="run-", dir=HOME))
        self.root.chmod(0o755)
        subprocess.run(["cp", "-al", *HOME.joinpath(self.tree).iterdir(), self.root], check=True)
        self._furnish()
        self.write("etc/resolv.conf", f"nameserver {name_server}\n" if name_server else "")
        return self

    def command_line(self, *command):
        return [*([] if os.geteuid() == 0 else ["sudo"]), "chroot", self.root, *command]

    def run(self, *command, **options):
        return subprocess.run(self.command_line(*command), capture_output=True, timeout=60, **options)

    def remove(self):
        as_root("rm", "-rf", self.root)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.remove()

    def _furnish(self):
        self.write("etc/passwd", PASSWD)
        self.write("etc/group", "".join(f"{line.split(':')[0]}:x:{line.split(':')[3]}:\n"
                                        for line in PASSWD.splitlines()))
        self.write("etc/hosts", "127.0.0.1 localhost\n")
        for name in ("server.pem", "server.key"):
            shutil.copy(CERTIFICATES / name, self.root / "etc" / name)
        as_root("chown", "root", self.root / "etc/server.key")
        as_root("chmod", "600", self.root / "etc/server.key")
        for name, owner in (("inbox", OWNER), ("log", OWNER), ("run", 0), ("tmp", 0), ("dev", 0), *self.folders):
            as_root("install", "-d", "-o", owner, "-g", owner, "-m", 755, self.root / name)
        for name, (major, minor) in DEVICES.items():
            as_root("mknod", "-m", 666, self.root / "dev" / name, "c", major, minor)

    def write(self, name, text, mode=0o644):
        """A file of this root alone: what stands there by its link is replaced and not written into."""
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
        path.write_text(text)
        path.chmod(mode)
        as_root("chown", "root", path)


class Server(Root):
    """`start` it, look into `messages`, `stop` it. A subclass has the command and writes its configuration."""

    command = []

    def __init__(self):
        self.port = free_port()
        self.secure_port = free_port()
        """There mail is taken only by STARTTLS and after a login as `app` with `s3cret`."""

    def configure(self):
        raise NotImplementedError

    def start(self, name_server=None):
        self.make(name_server)
        self.configure()
        self.process = subprocess.Popen(
            self.command_line(*self.command), stdin=subprocess.DEVNULL, stdout=open(self.root / "output", "wb"),
            stderr=subprocess.STDOUT)
        until(self.is_ready, f"{type(self).__name__} listens", failed=lambda: self.process.poll() is not None)
        return self

    def is_ready(self):
        return is_listening(self.port) and is_listening(self.secure_port)

    def messages(self, box="inbox"):
        """What is in a Maildir, whole."""
        folder = self.root / box
        return list(mailbox.Maildir(folder, create=False)) if (folder / "new").exists() else []

    def raw_messages(self, box="inbox"):
        return [path.read_bytes() for path in sorted((self.root / box / "new").glob("*"))]

    def log(self):
        texts = [self.root / "output", *sorted(self.root.glob("log/*"))]
        return "\n".join(path.read_text(errors="replace") for path in texts if path.is_file())

    def stop(self):
        """Ends it by its process id (sudo hands the signal on); it takes its children along."""
        if self.process.poll() is None:
            as_root("sh", "-c", f"kill {self.process.pid}")
        self.process.wait(timeout=20)
        self.remove()


class NameServer:
    """name_server.py with a zone: names to the text of their TXT records."""

    address = "127.0.0.77"

    def __init__(self, zone):
        self.zone = zone

    def __enter__(self):
        program = [sys.executable, Path(__file__).with_name("name_server.py"), self.address, json.dumps(self.zone)]
        self.process = subprocess.Popen(
            [*([] if os.geteuid() == 0 else ["sudo"]), *program], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert self.process.stdout.readline() == b"listening\n", "the name server does not listen"
        return self

    def __exit__(self, *_):
        self.process.communicate(timeout=20)


class Exim(Server):
    command = ["/usr/sbin/exim4", "-bdf", "-q5s"]
    folders = (("spool", OWNER), ("log", OWNER))

    def configure(self):
        self.write("etc/exim4/exim4.conf", EXIM.format(port=self.port, secure=self.secure_port))
        as_root("chown", OWNER, self.root / "etc/server.key")


EXIM = """
primary_hostname = judge.example
local_interfaces = <; 127.0.0.1.{port} ; 127.0.0.1.{secure}
daemon_smtp_ports = {port}
spool_directory = /spool
log_file_path = /log/%slog
log_selector = +dkim_verbose
pid_file_path = /run/exim.pid
deliver_drop_privilege = true
never_users =
keep_environment =
tls_advertise_hosts = *
tls_certificate = /etc/server.pem
tls_privatekey = /etc/server.key
chunking_advertise_hosts = *
dsn_advertise_hosts = *
pipelining_advertise_hosts = *
smtp_accept_max_per_connection = 1000
acl_smtp_rcpt = recipient
acl_smtp_data = accept
begin acl
recipient:
  deny condition = ${{if eq{{$received_port}}{{{secure}}}}}
       ! authenticated = *
       message = 5.7.0 authenticate first
  accept domains = example.com
         local_parts = a : b : ^many
  defer local_parts = full
        message = 4.2.2 mailbox full
  deny message = 5.1.1 no such user
begin routers
all:
  driver = accept
  transport = inbox
begin transports
inbox:
  driver = appendfile
  maildir_format
  directory = /inbox
  mode = 0644
  directory_mode = 0755
  envelope_to_add
begin authenticators
plain:
  driver = plaintext
  public_name = PLAIN
  server_condition = ${{if and {{ {{eq{{$auth2}}{{app}}}} {{eq{{$auth3}}{{s3cret}}}} }} }}
  server_set_id = $auth2
  server_advertise_condition = ${{if def:tls_in_cipher}}
cram:
  driver = cram_md5
  public_name = CRAM-MD5
  server_set_id = $auth1
  server_secret = ${{if eq{{$auth1}}{{app}}{{s3cret}}fail}}
  server_advertise_condition = ${{if def:tls_in_cipher}}
"""


class OpenSMTPD(Server):
    """Debian 12 has it with an OpenSSL that it cannot do TLS with, whatever the key (its issue 1171): it offers
    STARTTLS, and every handshake fails. Without TLS it lets nobody log in."""

    command = ["/usr/sbin/smtpd", "-d", "-f", "/etc/smtpd.conf"]
    folders = (
        ("var/lib/opensmtpd/empty", 0), ("var/spool/smtpd", 0), ("var/run", 0), ("var/mail", 0), ("inbox/cur", OWNER),
        ("inbox/new", OWNER), ("inbox/tmp", OWNER))

    def configure(self):
        as_root("chmod", "711", self.root / "var/spool/smtpd")
        self.write("etc/mailname", "judge.example\n")
        self.write("etc/smtpd.conf", OPENSMTPD.format(port=self.port, secure=self.secure_port))


class LaterOpenSMTPD(OpenSMTPD):
    """Debian 13's, which can."""

    tree = "later"

    def configure(self):
        super().configure()
        digest = subprocess.run(
            ["openssl", "passwd", "-6", "s3cret"], check=True, capture_output=True, text=True).stdout
        self.write("etc/logins", f"app {digest}")
        # It does not start without roots of its own, though it has nobody to send to.
        self.write("etc/ssl/certs/ca-certificates.crt", (CERTIFICATES / "authority.pem").read_text())
        name = "listen on 127.0.0.1 port {secure} tls-require"
        self.write("etc/smtpd.conf", "table logins file:/etc/logins\n" + OPENSMTPD.replace(
            f"{name} pki judge", f"{name} pki judge auth <logins>").format(port=self.port, secure=self.secure_port))


OPENSMTPD = """
pki judge cert "/etc/server.pem"
pki judge key "/etc/server.key"
table boxes {{ "a@example.com" = "box", "b@example.com" = "box" }}
listen on 127.0.0.1 port {port} tls pki judge hostname judge.example
listen on 127.0.0.1 port {secure} tls-require pki judge hostname judge.example
action inbox maildir "/inbox" virtual <boxes>
match from any for domain example.com action inbox
"""


class Dovecot(Server):
    """LMTP: over TCP with and without TLS, and over a Unix socket. `a` and `b` have mailboxes of these names; that of
    `broken` cannot be written."""

    command = ["/usr/sbin/dovecot", "-F"]
    folders = (("run/dovecot", 0), ("forbidden", 0))

    @property
    def socket(self):
        return self.root / "run/lmtp"

    def is_ready(self):
        return is_listening(self.port) and self.socket.exists()

    def configure(self):
        self.write("etc/dovecot/dovecot.conf", DOVECOT.format(port=self.port))
        homes = {"a": "/inbox/a", "b": "/inbox/b", "broken": "/forbidden/broken"}
        self.write("etc/dovecot/users", "".join(
            f"{name}@example.com:{{PLAIN}}x:{OWNER}:{OWNER}::{home}\n" for name, home in homes.items()))


DOVECOT = """
protocols = lmtp
base_dir = /run/dovecot
state_dir = /run/dovecot
log_path = /log/dovecot.log
hostname = judge.example
first_valid_uid = 1
ssl = yes
ssl_cert = </etc/server.pem
ssl_key = </etc/server.key
mail_location = maildir:~
passdb {{
  driver = passwd-file
  args = /etc/dovecot/users
}}
userdb {{
  driver = passwd-file
  args = /etc/dovecot/users
}}
service lmtp {{
  inet_listener lmtp {{
    address = 127.0.0.1
    port = {port}
  }}
  unix_listener /run/lmtp {{
    mode = 0666
  }}
}}
protocol lmtp {{
  postmaster_address = postmaster@example.com
}}
"""
