# maild, the mail-job daemon
# SPDX-License-Identifier: Apache-2.0
"""`apt install ./maild.deb` on Debian 12: what is there afterwards, what an upgrade keeps, what removal leaves."""

import re

import packages as debian
import pytest
from box import CONFIGURATION
from steady import Steady
from submission import job

UNITS = ["maild.service", "maild.socket", "maild-control.socket", "maild-metrics.socket"]
STATUS_TEXT = r"\d+ workers, \d+ running, \d+ ready.*, \d+ failed"


@pytest.fixture
def bare(boxes, request):
    """A box without maild; test by test a new one."""
    return boxes(f"bare-{request.node.name[:20].replace('_', '-')}")


def test_an_installation_runs_and_is_enabled(installed):
    for unit in UNITS:
        assert installed.shown("ActiveState", unit) == "active", unit
        assert installed.output("systemctl", "is-enabled", unit) == "enabled", unit
    assert re.fullmatch(STATUS_TEXT + "(, paused)?", installed.shown("StatusText"))
    assert installed.output("systemctl", "--failed", "--no-legend") == ""


def test_groups_and_places_have_their_owners(box):
    assert box.output("id", "-nG", "maild") == "maild"
    assert box.output("getent", "group", "maild-admin").startswith("maild-admin:")
    owners = box.output("stat", "-c", "%a %U:%G %n", "/run/maild/submit.sock", "/run/maild/control.sock",
                        "/var/lib/maild", "/var/lib/maild/spool.db", CONFIGURATION).split("\n")
    assert owners == [
        "660 maild:maild /run/maild/submit.sock", "660 maild:maild-admin /run/maild/control.sock",
        "700 maild:maild /var/lib/maild", "600 maild:maild /var/lib/maild/spool.db",
        f"644 root:root {CONFIGURATION}"]


def test_the_programs_are_where_the_manual_says_and_need_no_swift(installed):
    version = installed.output("mailctl", "version")
    assert re.fullmatch(r"mailctl (\S+)\nmaild +\1", version), version
    for program in ("/usr/sbin/maild", "/usr/bin/mailctl"):
        assert "not found" not in installed.output("ldd", program)
        assert "swift" not in installed.output("ldd", program)


def test_the_journal_explains_itself(box):
    place = box.journal_place()
    box.run("mailctl", "pause")
    box.wait_for_journal("Subject: No more jobs are begun", place, "-x")
    assert "mailctl resume" in box.journal("--after-cursor", place, "-x")
    box.run("mailctl", "resume")


def test_an_upgrade_keeps_the_queue_and_refuses_nobody(bare, packages, tmp_path):
    older = debian.of_version(packages["maild"], "0.0.9-1", tmp_path)
    bare.install(older)
    bare.write(CONFIGURATION, bare.path(CONFIGURATION).read_text().replace("#workers = 8", "workers = 3"))
    bare.systemctl("reload", "maild")
    with bare.submission() as client:
        later = client.ask(job(delay=3600, ref="waits"))["job"]
    before = bare.main_pid()
    steady = Steady(bare)
    with steady:
        bare.install(packages["maild"])
        assert bare.main_pid() != before, "the upgrade did not restart the service"
        steady.wait_for_more(20)
    assert not steady.refused, steady.refused[:5]
    assert bare.output("dpkg-query", "-W", "-f", "${Version}", "maild") == debian.version(packages["maild"])
    assert bare.status()["workers"] == 3, "the configuration was changed by the upgrade"
    assert bare.control.call("Show", id=later)["job"]["ref"] == "waits"
    steady.wait_until_delivered()


def test_removal_keeps_what_purge_deletes(bare, packages):
    bare.install(packages["maild"])
    with bare.submission() as client:
        client.ask(job(delay=3600))
    bare.write("/etc/maild/own.password", "secret\n", mode=0o600)
    bare.run("apt-get", "remove", "-y", "maild", seconds=120)
    for unit in UNITS:
        assert bare.shown("ActiveState", unit) == "inactive", unit
    assert not bare.path("/run/maild").exists() and not bare.path("/usr/sbin/maild").exists()
    assert bare.path("/var/lib/maild/spool.db").exists() and bare.path(CONFIGURATION).exists()

    bare.install(packages["maild"])
    assert bare.status()["counts"]["scheduled"] == 1, "the queue did not survive the removal"

    bare.run("apt-get", "purge", "-y", "maild", seconds=120)
    for gone in ("/var/lib/maild", "/run/maild", CONFIGURATION, "/etc/systemd/system/sockets.target.wants/maild.socket",
                 "/var/lib/systemd/deb-systemd-helper-enabled/maild.service.dsh-also"):
        assert not bare.path(gone).exists(), gone
    assert bare.path("/etc/maild/own.password").exists(), "a file of the administrator's own was deleted"
    assert bare.output("systemctl", "--failed", "--no-legend") == ""
