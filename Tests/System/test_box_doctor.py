# maild, the mail-job daemon
# SPDX-License-Identifier: Apache-2.0
"""`mailctl doctor` on an installed system that is ill in several ways, `mailctl unit-failed` as systemd calls it."""

import json
import os
import signal

import pytest
from box import CONFIGURATION, SOCKETS
from submission import job
from waiting import until


def doctor(box, **options):
    """(exit status, [finding]) of a doctor who looks at the box."""
    done = box.run("mailctl", "doctor", "--json", check=False, **options)
    return done.returncode, json.loads(done.stdout)["findings"]


def problems(findings):
    return {finding["subject"]: finding for finding in findings if finding["verdict"] == "problem"}


def test_a_fresh_installation_has_no_problem(box):
    status, findings = doctor(box)
    assert (status, problems(findings)) == (0, {}), findings
    seen = {finding["subject"] for finding in findings if finding["verdict"] == "ok"}
    assert {"maild.service", *SOCKETS, "/run/maild/submit.sock", "/run/maild/control.sock", CONFIGURATION, "queue",
            "versions", "/var/lib/maild"} <= seen
    warned = {finding["subject"]: finding for finding in findings if finding["verdict"] == "warning"}
    assert "maild.toml" in warned["relay"]["advice"], "nobody is told that the mail stays on this machine"
    assert set(warned) <= {"relay", "clock"}, warned


def test_people_get_lines_with_what_to_do_below(box):
    shown = box.run("mailctl", "doctor").stdout
    assert "ok       maild.service: active: 8 workers, 0 running" in shown
    assert "warning  relay: there is none: mail goes into" in shown and "\n         -> [relay.NAME] in" in shown
    assert shown.splitlines()[-1].startswith("no problems, ")


def test_a_service_that_was_stopped_and_disabled(box):
    box.systemctl("stop", "maild.service", *SOCKETS)
    status, findings = doctor(box)
    assert status == 69
    found = problems(findings)
    assert found["maild.service"]["message"] == "does not run"
    assert found["maild.service"]["advice"] == "systemctl enable --now maild.service"
    assert {"maild.socket", "maild-control.socket", "/run/maild/submit.sock"} <= set(found)


def test_advice_that_is_followed_helps(box):
    box.systemctl("disable", "--now", "maild.service", *SOCKETS)
    _, findings = doctor(box)
    for finding in problems(findings).values():
        if finding["advice"].startswith("systemctl enable"):
            box.run(*finding["advice"].split())
    assert doctor(box)[0] == 0


def test_a_wrong_configuration_in_force_or_not(box):
    box.write(CONFIGURATION, "workers = 8\nwrokers = 8\n")
    status, findings = doctor(box)
    assert status == 78 and f"{CONFIGURATION}:2: wrokers" in problems(findings)[CONFIGURATION]["message"]
    box.systemctl("restart", "maild", check=False)
    status, findings = doctor(box)
    assert status == 78 and "status 78" in problems(findings)["maild.service"]["message"]
    assert "maild --check-config" in problems(findings)["maild.service"]["advice"]


def test_a_relay_that_is_away(box):
    box.write(CONFIGURATION, '[relay.nowhere]\nhost = "127.0.0.1"\nport = 9\n')
    box.systemctl("reload", "maild")
    with box.submission() as client:
        client.ask(job())
    until(lambda: box.control.call("Relays")["relays"][0]["breaker"] == "open", "the breaker is open")
    status, findings = doctor(box)
    assert status == 69
    assert "Connection refused" in problems(findings)["relay nowhere"]["message"]


def test_a_user_who_may_not_look(box):
    box.run("sh", "-c", "id ida 2>/dev/null || useradd ida")
    status, findings = doctor(box, user="ida")
    assert status == 77
    assert "usermod -aG maild-admin" in problems(findings)["/run/maild/control.sock"]["advice"]


def test_a_crash_and_an_open_state_directory_are_told(box):
    box.drop_in("[Service]\nRestartSec=0\n")
    box.systemctl("restart", "maild")
    box.systemctl("kill", "-s", "KILL", "maild")
    until(lambda: box.shown("NRestarts") == "1", "systemd has restarted it")
    box.wait_until_active()
    box.run("chmod", "755", "/var/lib/maild")
    status, findings = doctor(box)
    told = [finding["message"] for finding in findings if finding["verdict"] == "warning"]
    assert status == 0
    assert "systemd had to start it again once" in told and any("is open to others" in text for text in told)


@pytest.fixture
def failing(box):
    """A unit that fails when it is started, and says so by mail."""
    box.write("/run/systemd/system/nightly.service", """[Unit]
Description=Nightly backup
OnFailure=maild-unit-failed@%n.service
[Service]
Type=oneshot
ExecStart=/bin/sh -c 'echo "no space on the tape"; exit 3'
""")
    box.systemctl("daemon-reload")
    return box


def mail_of(box, word):
    return until(lambda: [text for text in box.mail() if word in text], f"a mail about {word} is delivered; "
                 f"{box.output('journalctl', '-n', '30', '--no-pager')}")[0]


def test_a_failed_unit_is_mailed_with_its_last_lines(failing):
    failing.systemctl("start", "nightly", check=False)
    text = mail_of(failing, "nightly.service")
    host = failing.output("hostname")
    assert f"Subject: [{host}] nightly.service failed: exit-code (exited, 3)" in " ".join(text.split())
    assert f"To: root@{host}" in text
    for words in ["Nightly backup", "no space on the tape", "Main process exited", "Auto-Submitted: auto-generated"]:
        assert words in text, text


def test_last_words_are_in_the_mail_even_if_the_journal_is_slow(failing):
    """The journal is stopped until the handler of the failure runs, and has read nothing of the program by then."""
    journal = failing.process("systemd-journal")
    os.kill(journal, signal.SIGSTOP)
    try:
        failing.systemctl("start", "nightly", check=False)
        until(lambda: failing.shown("SubState", "maild-unit-failed@nightly.service.service") == "start-pre",
              "the handler waits for the journal")
        assert not failing.mail()
    finally:
        os.kill(journal, signal.SIGCONT)
    text = mail_of(failing, "nightly.service")
    assert "no space on the tape" in text and "Main process exited" in text, text


def test_the_recipient_is_a_matter_of_a_drop_in(failing):
    failing.drop_in(
        "[Service]\nEnvironment=MAILD_UNIT_FAILED_TO=ops@example.org MAILD_UNIT_FAILED_FROM=app@example.org\n",
        unit="maild-unit-failed@.service")
    failing.systemctl("start", "nightly", check=False)
    text = mail_of(failing, "nightly.service")
    assert "To: ops@example.org" in text and "From: app@example.org" in text


def test_maild_s_own_failure_is_mailed_once_it_is_back(box):
    good = box.path(CONFIGURATION).read_text()
    box.drop_in("[Unit]\nOnFailure=maild-unit-failed@%n.service\n")
    box.write(CONFIGURATION, "workers = 0\n")
    box.systemctl("restart", "maild", check=False)
    until(lambda: box.shown("ActiveState", "maild-unit-failed@maild.service.service") == "activating",
          "the handler waits in the socket")
    box.write(CONFIGURATION, good)
    text = mail_of(box, "maild.service failed")
    assert "workers: must be from 1 to 1024" in text
