# maild, the mail-job daemon
# SPDX-License-Identifier: Apache-2.0
"""maild-feed@NAME.service beside maild, as Debian's packages install both: a feed from a redis-server of the box, and
from RabbitMQ and Kafka on its network; started, watched, killed, upgraded, removed."""

import json
import re
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import packages as debian
import pytest
from submission import job
from waiting import until

UNIT = "maild-feed@shop.service"
FILE = "/etc/maild/feeds/shop.toml"
GOOD = """ack = "settled"
drain_seconds_max = 2

[redis]
stream = "mail"
user = "shop"
password_file = "/etc/maild/feeds/shop.password"
claim_idle_seconds = 2
"""


@pytest.fixture(scope="module")
def equipped(boxes, packages):
    """A box with Redis, maild and its feeds; the feed `shop` is enabled and runs."""
    box = boxes("feed")
    box.install_from_debian("redis-server", "librabbitmq4", "librdkafka1")
    box.run("sh", "-c", "echo 'user shop on >s3cret ~* +@all' >> /etc/redis/redis.conf")
    box.systemctl("restart", "redis-server")
    box.install(packages["maild"], packages["maild-feed"])
    box.write(FILE, GOOD)
    box.write("/etc/maild/feeds/shop.password", "s3cret\n")
    box.run("chown", "root:maild-feed", "/etc/maild/feeds/shop.password")
    box.run("chmod", "640", "/etc/maild/feeds/shop.password")
    box.systemctl("enable", "--now", UNIT)
    return box


@pytest.fixture
def fed(equipped):
    yield equipped
    print("--- the end of the journal:", equipped.output("journalctl", "-n", "60", "--no-pager"), sep="\n")


def add(box, *subjects):
    for subject in subjects:
        box.output("redis-cli", "XADD", "mail", "*", "job", json.dumps(job(subject=subject)))


def subjects(box):
    return [re.search(r"^Subject: (.*)$", text, re.MULTILINE).group(1) for text in box.mail()]


def wait_until_mailed(box, *wanted):
    """Once each, and acknowledged."""
    until(lambda: set(wanted) <= set(subjects(box)), f"{wanted} are mailed; there is {subjects(box)}")
    until(lambda: box.output("redis-cli", "XPENDING", "mail", "maild").split("\n")[0] == "0", "all is acknowledged")
    assert len(subjects(box)) == len(set(subjects(box))), "mailed twice"


def wait_for_status(box, pattern, unit=UNIT):
    until(lambda: re.search(pattern, box.shown("StatusText", unit)), f"{unit} says {pattern}")


def test_the_unit_is_ready_and_as_locked_in_as_maild(fed):
    assert fed.shown("Type", UNIT) == "notify" and fed.shown("ActiveState", UNIT) == "active"
    wait_for_status(fed, r"^connected, 0 unanswered, 0 unsettled, ")
    owners = fed.output("stat", "-c", "%a %U:%G", "/etc/maild/feeds", "/run/maild-feed", "/run/maild-feed/shop")
    assert owners.split("\n") == ["755 root:root", "755 maild-feed:maild-feed", "666 maild-feed:maild-feed"]
    assert set(fed.output("id", "-nG", "maild-feed").split()) == {"maild-feed", "maild", "maild-admin"}
    verdict = fed.run("systemd-analyze", "verify", "--man=no", UNIT)
    assert verdict.stdout + verdict.stderr == ""
    fed.run("systemd-analyze", "security", "--threshold=12", "--no-pager", UNIT)


def test_brokers_libraries_are_the_feeds_alone(fed):
    for program, wanted in (("/usr/sbin/maild", False), ("/usr/bin/mailctl", False), ("/usr/sbin/maild-feed", True)):
        linked = fed.output("ldd", program)
        assert "not found" not in linked
        assert bool(re.search("librabbitmq|librdkafka", linked)) == wanted, program


def test_jobs_come_from_redis_and_mailctl_shows_the_feed(fed):
    add(fed, "one", "two")
    wait_until_mailed(fed, "one", "two")
    line = fed.output("mailctl", "feeds").split("\n")[1].split()
    assert line[:4] == ["shop", "redis", "connected", "settled"]
    fed.output("redis-cli", "XADD", "mail", "*", "job", "{")
    until(lambda: fed.output("redis-cli", "XLEN", "mail:dead") == "1", "the dead letter is there")


def test_the_journal_explains_itself(fed):
    place = fed.journal_place()
    fed.output("redis-cli", "XADD", "mail", "*", "job", '{"to":"nobody"}')

    def lines(*words):
        return fed.output("journalctl", "--no-pager", "-u", UNIT, "--after-cursor", place, *words)
    until(lambda: "Subject: A message of the feed shop is no job: invalid_job" in lines("-x"), "the catalog has it")
    entries = [json.loads(line) for line in lines("-o", "json").splitlines()]
    assert [entry["MESSAGE"] for entry in entries if entry["_COMM"] == "maild-feed" and "MESSAGE_ID" not in entry] == []


def test_a_broker_and_a_maild_that_are_away_are_waited_for(fed):
    pid = fed.shown("MainPID", UNIT)
    fed.systemctl("stop", "redis-server")
    wait_for_status(fed, r"^not connected \(.*\)")
    fed.systemctl("start", "redis-server")
    wait_for_status(fed, "^connected")
    fed.systemctl("stop", "maild.service", "maild.socket", "maild-control.socket")
    wait_for_status(fed, "maild is away")
    add(fed, "late")
    fed.systemctl("start", "maild.socket", "maild-control.socket", "maild.service")
    wait_until_mailed(fed, "late")
    assert fed.shown("MainPID", UNIT) == pid


def test_a_killed_one_comes_back_and_mails_nothing_twice(fed):
    for name in ("killed-1", "killed-2", "killed-3"):
        add(fed, *(f"{name}-{number}" for number in range(3)))
        restarts = int(fed.shown("NRestarts", UNIT))
        fed.systemctl("kill", "-s", "KILL", UNIT)
        until(lambda: int(fed.shown("NRestarts", UNIT)) == restarts + 1, "systemd has restarted it")
        fed.wait_until_active(UNIT)
    wait_until_mailed(fed, *(f"killed-{round}-{number}" for round in (1, 2, 3) for number in range(3)))


def test_a_stopped_process_is_found_out_by_the_watchdog(fed):
    fed.drop_in("[Service]\nWatchdogSec=2\n", unit=UNIT)
    fed.systemctl("restart", UNIT)
    fed.systemctl("kill", "-s", "STOP", UNIT)
    until(lambda: fed.shown("NRestarts", UNIT) == "1", "systemd has restarted it", seconds=40)
    fed.wait_until_active(UNIT)
    add(fed, "watched")
    wait_until_mailed(fed, "watched")
    fed.run("rm", "-r", f"/etc/systemd/system/{UNIT}.d")
    fed.systemctl("daemon-reload")


def test_a_wrong_file_fails_with_78_and_is_not_tried_again(fed):
    fed.write(FILE, GOOD.replace("stream", "steam"))
    place = fed.journal_place()
    assert fed.systemctl("restart", UNIT, check=False).returncode != 0
    assert [fed.shown(name, UNIT) for name in ("ActiveState", "ExecMainStatus", "NRestarts")] == ["failed", "78", "0"]

    def told():
        return fed.output("journalctl", "--no-pager", "-x", "-u", UNIT, "--after-cursor", place)
    until(lambda: f"{FILE}:5: redis.steam: is unknown; did you mean stream?" in told(), "the journal names the line")
    assert "Subject: A feed cannot start" in told()
    fed.write(FILE, GOOD)
    fed.systemctl("reset-failed", UNIT)
    fed.systemctl("start", UNIT)


@contextmanager
def broker(box, kind, name):
    """(address, publish) of one on the box's network."""
    stage = box.background(
        sys.executable, Path(__file__).parent / "broker_stage.py", kind, name, network_only=True,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def publish(text):
        stage.stdin.write(text + "\n")
        stage.stdin.flush()
        assert stage.stdout.readline() == "sent\n"
    try:
        yield stage.stdout.readline().strip(), publish
    finally:
        stage.stdin.close()
        stage.wait(60)


@pytest.mark.parametrize(("kind", "table"), [
    ("rabbitmq", 'server = "{address}"\nqueue = "mail"\n'),
    ("kafka", 'brokers = "{address}"\ntopic = "mail"\nsession_timeout_seconds = 6\n')])
def test_one_more_feed_from_another_broker(fed, kind, table):
    """With Debian's own libraries: librdkafka 2.0.2 among them."""
    unit = f"maild-feed@{kind}.service"
    with broker(fed, kind, "mail") as (address, publish):
        assert address, "the broker did not start"
        fed.write(f"/etc/maild/feeds/{kind}.toml", f'ack = "settled"\n[{kind}]\n' + table.format(address=address))
        fed.systemctl("start", unit)
        wait_for_status(fed, "^connected", unit)
        publish(json.dumps(job(subject=f"by {kind}")))
        until(lambda: f"by {kind}" in subjects(fed), "it is mailed")
        wait_for_status(fed, "0 unanswered, 0 unsettled, .*1 accepted", unit)
        states = {line.split()[0]: line.split()[1:3] for line in fed.output("mailctl", "feeds").split("\n")[1:]}
        assert states == {"shop": ["redis", "connected"], kind: [kind, "connected"]}
        fed.systemctl("stop", unit)
        assert fed.shown("Result", unit) == "success"


def test_it_comes_back_with_the_machine(fed):
    fed.stop("--crash")
    fed.boot()
    for unit in ("redis-server.service", "maild.service", UNIT):
        fed.wait_until_active(unit)
    add(fed, "after the boot")
    wait_until_mailed(fed, "after the boot")


def test_an_upgrade_restarts_it_and_purge_leaves_nothing(fed, packages, tmp_path):
    pid = fed.shown("MainPID", UNIT)
    newer = []
    for name in ("maild", "maild-feed"):
        (tmp_path / name).mkdir()
        newer.append(debian.of_version(packages[name], "0.1.0-2", tmp_path / name))
    fed.install(*newer)
    fed.wait_until_active(UNIT)
    assert fed.shown("MainPID", UNIT) != pid
    add(fed, "upgraded")
    wait_until_mailed(fed, "upgraded")
    fed.run("apt-get", "remove", "-y", "maild-feed", seconds=120)
    assert fed.shown("ActiveState", UNIT) == "inactive" and not fed.path("/run/maild-feed").exists()
    assert fed.shown("ActiveState") == "active", "maild goes on without its feeds"
    fed.run("apt-get", "purge", "-y", "maild-feed", seconds=120)
    assert fed.path(FILE).exists(), "a file of the administrator's own was deleted"
    assert fed.output("sh", "-c", "ls /etc/systemd/system/*.wants | grep -c maild-feed || true") == "0"
    assert not fed.path("/usr/lib/systemd/catalog/maild-feed.catalog").exists()
    assert fed.output("systemctl", "--failed", "--no-legend") == ""
