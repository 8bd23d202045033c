# maild, the mail-job daemon
# SPDX-License-Identifier: Apache-2.0
"""Who may do what with the installed service, what the service itself may do, and how it gets its secrets."""

import sys
from email import message_from_string, policy

import pytest
from box import CONFIGURATION
from maild import ROOT
from submission import job
from waiting import until

SUBMIT = ["mailctl", "submit", "--from", "a@example.org", "--to", "b@example.com", "--text", "hi"]


@pytest.fixture(scope="module")
def users(installed):
    """ann is in no group of ours, sue may submit, otto may operate."""
    installed.run("sh", "-c", "for name in ann sue otto; do useradd -m $name; done; usermod -aG maild sue; "
                  "usermod -aG maild-admin otto")


@pytest.mark.parametrize(("user", "verb", "status"), [
    ("ann", SUBMIT, 77), ("ann", ["mailctl", "status"], 77),
    ("sue", SUBMIT, 0), ("sue", ["mailctl", "status"], 77),
    ("otto", SUBMIT, 77), ("otto", ["mailctl", "status"], 0), ("otto", ["mailctl", "scale", "5"], 0),
], ids=lambda value: value if isinstance(value, str) else None)
def test_groups_decide_who_submits_and_who_controls(box, users, user, verb, status):
    done = box.run(*verb, user=user, check=False)
    assert done.returncode == status, done.stderr
    if status:
        assert "Permission denied" in done.stderr and "usermod -aG maild" in done.stderr


def test_a_unit_with_a_user_of_its_own_submits_by_a_supplementary_group(box):
    done = box.run("systemd-run", "-q", "--pipe", "--wait", "--collect", "-p", "DynamicUser=yes", "-p",
                   "SupplementaryGroups=maild", *SUBMIT)
    assert done.stdout.endswith("ready\n")


def test_a_file_that_only_its_owner_may_read_is_passed_into_the_sandbox(box, users):
    box.run("sh", "-c", "umask 077; seq 100000 > /var/tmp/numbers", user="sue")
    box.run(*SUBMIT, "--subject", "numbers", "--attach", "/var/tmp/numbers", user="sue")
    [text] = until(lambda: [text for text in box.mail() if "Subject: numbers" in text], "the mail is delivered")
    [attachment] = message_from_string(text, policy=policy.default).iter_attachments()
    assert attachment.get_content() == "".join(f"{number}\n" for number in range(1, 100001)).encode()


def test_nobody_else_reads_queue_or_mail(box, users):
    for path in ("/var/lib/maild", "/var/lib/maild/spool.db", "/var/lib/maild/maildir"):
        assert box.run("ls", path, user="sue", check=False).returncode == 2
        assert box.run("cat", path, user="sue", check=False).returncode == 1


# What the sandbox must forbid, as a shell of the service's user tries it; each must fail.
FORBIDDEN = {
    "write /etc": "echo x > /etc/maild/maild.toml",
    "write /usr": "touch /usr/bin/x",
    "write /run": "touch /run/maild/x",
    "write /home": "touch /home/x",
    "write another's state": "touch /var/lib/x",
    "see homes": "ls /home/sue",
    "see the kernel's log": "dmesg",
    "gain root by a setuid program": 'test "$(/share/setuid-id -u)" = 0',
    "make a namespace": "unshare -U true",
    "mount": "mount -t tmpfs none /var/lib/maild",
    "see other processes": "test -e /proc/1/cmdline",
    "make a setuid file": "cp /bin/true /var/lib/maild/t && chmod 4755 /var/lib/maild/t",
    "open a raw socket": "ping -c 1 127.0.0.1",
    "set the host's name": "hostname other",
}


def probe(box, script):
    """Exit status of a shell in a unit that differs from maild.service in what it runs alone."""
    text = box.path("/lib/systemd/system/maild.service").read_text()
    lines = [line for line in text.split("\n") if not line.startswith(
        ("Exec", "Type=", "NotifyAccess=", "Restart", "Watchdog", "Requires=", "After=", "Sockets="))]
    start = lines.index("[Service]") + 1
    lines[start:start] = ["Type=oneshot", "ExecStart=/bin/sh /share/probe.sh"]
    box.write("/run/systemd/system/probe.service", "\n".join(lines))
    (box.share / "probe.sh").write_text(script + "\n")
    box.systemctl("daemon-reload")
    box.systemctl("start", "probe.service", check=False)
    return int(box.shown("ExecMainStatus", "probe.service"))


@pytest.mark.parametrize("what", FORBIDDEN)
def test_the_sandbox_forbids(box, users, what):
    box.run("sh", "-c", "cp /usr/bin/id /share/setuid-id && chmod 4755 /share/setuid-id")
    assert probe(box, FORBIDDEN[what]) != 0


def test_the_sandbox_allows_what_maild_needs(box):
    assert probe(box, "touch /var/lib/maild/x && cat /etc/maild/maild.toml && test $(id -un) = maild") == 0


def test_the_running_daemon_has_no_privileges(box):
    status = dict(line.split(":\t", 1) for line in
                  box.path(f"/proc/{box.main_pid()}/status").read_text().splitlines() if ":\t" in line)
    for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"):
        assert int(status[name], 16) == 0, name
    assert (status["NoNewPrivs"], status["Seccomp"]) == ("1", "2")
    assert "0" not in status["Uid"].split()


def test_the_unit_is_exposed_no_more_than_it_must(box):
    box.run("systemd-analyze", "security", "--threshold=12", "--no-pager", "maild.service")


def test_a_relay_s_password_comes_as_a_credential(box):
    """The relay is on this machine, so that it may be told the password in clear."""
    port = 2525
    server = box.background(
        sys.executable, ROOT / "Tests/System/aio_login.py", port, "app", "sesame", network_only=True)
    try:
        box.write("/etc/maild/relay.password", "sesame\n", mode=0o600)
        box.write(CONFIGURATION, f'[relay.here]\nhost = "127.0.0.1"\nport = {port}\nuser = "app"\n'
                  'password_credential = "here"\n')
        box.drop_in("[Service]\nLoadCredential=here:/etc/maild/relay.password\n", name="credentials")
        box.systemctl("restart", "maild")
        with box.submission() as client:
            identity = client.ask(job())["job"]
        shown = box.control.call
        until(lambda: shown("Show", id=identity)["job"]["state"] == "delivered",
              f"the relay took the mail; {box.journal('-n', 10)}")
        assert "sesame" not in box.journal()
    finally:
        server.kill()
        server.wait()
