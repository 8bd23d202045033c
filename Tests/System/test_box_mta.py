# maild, the mail-job daemon
# SPDX-License-Identifier: Apache-2.0
"""The package maild-mta: /usr/sbin/sendmail, its options and its socket. test_box_callers.py has those who call it."""

import re

import pytest
from waiting import until


@pytest.fixture
def mta(boxes, packages):
    box = boxes("mta")
    if not box.path("/usr/sbin/sendmail").is_symlink():
        for name in ("maild", "maild-mta"):
            box.install(packages[name])
        box.run("sh", "-c", "echo app1.example.org > /etc/mailname; useradd -m -c 'Ann Example,,,' ann")
    box.run("sh", "-c", "rm -f /var/lib/maild/maildir/new/* /etc/aliases")
    yield box
    print("--- the end of the journal:", box.journal("-n", 40), sep="\n")


def mail_of(box, word):
    return until(lambda: [text for text in box.mail() if word in text], f"a mail with {word} is delivered; "
                 f"{box.journal('-n', 10)}")[0]


def header(text, name):
    match = re.search(rf"^{name}: (.*)$", text, re.MULTILINE)
    return match.group(1) if match else None


def test_the_package_installs_beside_maild_and_loses_nobody(mta):
    assert mta.shown("ActiveState", "maild-mta.socket") == "active"
    assert mta.output("systemctl", "is-enabled", "maild-mta.socket") == "enabled"
    assert mta.output("stat", "-c", "%a", "/run/maild/mta.sock") == "666"
    assert mta.output("stat", "-c", "%a", "/run/maild/submit.sock") == "660"
    for path in ("/usr/sbin/sendmail", "/usr/lib/sendmail", "/usr/bin/mailq", "/usr/bin/newaliases"):
        assert mta.path(path).is_symlink()


def test_a_user_in_no_group_sends_as_cron_does(mta):
    mta.run("/usr/sbin/sendmail", "-FCronDaemon", "-i", "-B8BITMIME", "-oem", "root", user="ann",
            input="From: root (Cron Daemon)\nTo: root\nSubject: Cron <root@app1> backup\n\n.\nümlaut after a dot\n")
    text = mail_of(mta, "backup")
    assert header(text, "Delivered-To") == "root@localhost" and header(text, "Return-Path") == "<ann@app1.example.org>"
    assert header(text, "From") == "root@app1.example.org (Cron Daemon)"
    assert header(text, "To") == "root@app1.example.org"
    assert text.endswith(".\nümlaut after a dot\n") and header(text, "Date") and header(text, "Message-ID")


def test_php_s_mail_function(mta):
    mta.run("sh", "-c", "/usr/sbin/sendmail -t -i", user="ann",
            input="To: bob@example.com\nSubject: from php\nBcc: eve@example.com\nX-PHP: 1\n\nbody\n")
    until(lambda: len(mta.mail()) == 2, "both recipients have it")
    assert {header(text, "Delivered-To") for text in mta.mail()} == {"bob@example.com", "eve@example.com"}
    for text in mta.mail():
        assert "Bcc" not in text and header(text, "From") == "Ann Example <ann@app1.example.org>"


def test_a_unit_with_a_dynamic_user_and_no_new_privileges(mta):
    mta.run("systemd-run", "-q", "--pipe", "--wait", "--collect", "-p", "DynamicUser=yes", "-p", "NoNewPrivileges=yes",
            "-p", "ProtectSystem=strict", "-p", "PrivateNetwork=yes", "sh", "-c",
            "printf 'Subject: from a unit\\n\\nx\\n' | /usr/sbin/sendmail -f app@example.org ops@example.com")
    assert header(mail_of(mta, "from a unit"), "Return-Path") == "<app@example.org>"


def test_aliases_decide_where_local_mail_goes(mta):
    mta.write("/etc/aliases", "root: ops@example.org, ann\nann: \\ann\nlogcheck: root\nvoid: /dev/null\n")
    assert mta.output("newaliases") == "/etc/aliases: 4 aliases"
    assert mta.output("/usr/sbin/sendmail", "-bv", "logcheck", "nobody") == \
        "logcheck: ops@example.org, ann@localhost\nnobody: nobody@localhost"
    mta.run("/usr/sbin/sendmail", "logcheck", input="Subject: aliased\n\nx\n")
    until(lambda: len(mta.mail()) == 2, "both have it")
    assert {header(text, "Delivered-To") for text in mta.mail()} == {"ops@example.org", "ann@localhost"}
    mta.run("/usr/sbin/sendmail", "void", input="Subject: gone\n\nx\n")


def test_smtp_over_standard_input(mta):
    dialogue = ["EHLO me", "MAIL FROM:<a@example.org>", "RCPT TO:<bob@example.com>", "RCPT TO:<root>", "DATA",
                "From: a@example.org", "Subject: by smtp", "", "..stuffed", ".", "QUIT"]
    done = mta.run("/usr/sbin/sendmail", "-bs", user="ann", input="\r\n".join(dialogue) + "\r\n")
    codes = re.findall(r"^(\d{3}) ", done.stdout, re.MULTILINE)
    assert codes == ["220", "250", "250", "250", "250", "354", "250", "221"], done.stdout
    until(lambda: len(mta.mail()) == 2, "both have it")
    assert all("\n.stuffed\n" in text for text in mta.mail())


def test_latin1_arrives_as_what_it_is(mta):
    message = b"Subject: latin\nContent-Type: text/plain; charset=iso-8859-1\n\ncaf\xe9\n"
    (mta.share / "latin1").write_bytes(message)
    mta.run("sh", "-c", "/usr/sbin/sendmail bob@example.com < /share/latin1")
    text = mail_of(mta, "latin")
    assert "caf=E9" in text and header(text, "Content-Transfer-Encoding") == "quoted-printable"


@pytest.mark.parametrize(("words", "message", "status"), [
    ([], "x\n", 64), (["-Z", "a@b"], "x\n", 64), (["-t"], "Subject: x\n\n", 65), (["not an address"], "x\n", 65),
    (["a@no domain"], "x\n", 65), (["-bd"], "", 64), (["-q"], "", 0),
], ids=str)
def test_exit_statuses_are_those_of_sysexits(mta, words, message, status):
    done = mta.run("/usr/sbin/sendmail", *words, user="ann", check=False, input=message)
    assert done.returncode == status, done.stderr
    assert status == 0 or done.stderr.startswith("sendmail: ")


def test_the_queue_is_shown_to_those_who_may_see_it(mta):
    assert mta.run("mailq", user="ann", check=False).returncode == 77
    assert mta.run("mailq").returncode == 0


def test_a_mail_waits_while_maild_restarts_and_comes_once(mta):
    mta.systemctl("stop", "maild.service")
    mta.run("/usr/sbin/sendmail", "bob@example.com", user="ann", input="Subject: patient\n\nx\n")
    mail_of(mta, "patient")
    assert len(mta.mail()) == 1


def test_local_mail_stays_here_where_there_is_a_relay(mta):
    mta.run("cp", "/etc/maild/maild.toml", "/share/maild.toml")
    mta.write("/etc/maild/maild.toml", '[relay.nowhere]\nhost = "127.0.0.1"\nport = 9\n')
    try:
        mta.systemctl("reload", "maild")
        mta.run("/usr/sbin/sendmail", "ann", input="Subject: local\n\nx\n")
        assert header(mail_of(mta, "local"), "Delivered-To") == "ann@localhost"
    finally:
        mta.run("cp", "/share/maild.toml", "/etc/maild/maild.toml")
        mta.systemctl("reload", "maild")


def test_removal_closes_the_socket_and_leaves_maild(boxes, packages):
    box = boxes("mta-removed")
    for name in ("maild", "maild-mta"):
        box.install(packages[name])
    box.run("apt-get", "purge", "-y", "maild-mta", seconds=120)
    assert not box.path("/run/maild/mta.sock").exists() and not box.path("/usr/sbin/sendmail").is_symlink()
    box.wait_until_active()
    assert box.shown("ActiveState", "maild.socket") == "active"
    assert box.output("systemctl", "--failed", "--no-legend") == ""
