# maild, the mail-job daemon
# SPDX-License-Identifier: Apache-2.0
"""maild@NAME.service: two more beside maild.service, each with a queue, sockets and a configuration of its own."""

import json
import subprocess
import sys

import packages as debian
import pytest
from box import CONFIGURATION
from submission import Submission, job
from waiting import until

NAMES = ["news", "shop-2"]
KINDS = ["maild", "maild-control", "maild-metrics"]


def units(name):
    return [f"maild@{name}.service", *(f"{kind}@{name}.socket" for kind in KINDS)]


@pytest.fixture
def several(boxes, packages):
    """A box in which two instances are enabled and run."""
    box = boxes("several")
    if not box.path("/usr/sbin/maild").exists():
        box.install(packages["maild"])
        for number, name in enumerate(NAMES, 2):
            box.write(f"/etc/maild/{name}.toml", f"workers = {number}\n")
            box.systemctl("enable", "--now", f"maild@{name}.service")
    yield box
    print("--- the end of the journal:", box.output("journalctl", "-n", "60", "--no-pager"), sep="\n")


def mail(box, name):
    folder = box.path(f"/var/lib/maild/instances/{name}/maildir/new")
    return [file.read_text() for file in folder.iterdir()] if folder.exists() else []


def submit(box, name, *words):
    return box.output("mailctl", "submit", "--instance", name, "--from", "a@example.org", "--to", "b@example.com",
                      "--text", f"for {name}", *words)


def test_each_runs_is_enabled_and_has_rooms_of_its_own(several):
    for number, name in enumerate(NAMES, 2):
        for unit in units(name):
            assert several.shown("ActiveState", unit) == "active", unit
            assert several.output("systemctl", "is-enabled", unit) == "enabled", unit
        assert several.shown("StatusText", f"maild@{name}.service").startswith(f"{number} workers")
        owners = several.output(
            "stat", "-c", "%a %U:%G", f"/run/maild/{name}/submit.sock", f"/run/maild/{name}/control.sock",
            f"/var/lib/maild/instances/{name}", f"/var/lib/maild/instances/{name}/spool.db").split("\n")
        assert owners == ["660 maild:maild", "660 maild:maild-admin", "700 maild:maild", "600 maild:maild"]


def test_mail_goes_into_the_queue_that_it_was_given_to(several):
    for name in NAMES:
        assert submit(several, name).endswith("ready")
        until(lambda: any(f"for {name}" in text for text in mail(several, name)), f"{name} has delivered")
    assert not any("for " in text for text in several.mail())
    assert {len(mail(several, name)) for name in NAMES} == {1}


def test_mailctl_finds_an_instance_by_option_and_by_variable(several):
    for number, name in enumerate(NAMES, 2):
        for words in (["mailctl", "status", "--json", "--instance", name],
                      ["env", f"MAILD_INSTANCE={name}", "mailctl", "status", "--json"]):
            assert json.loads(several.output(*words))["workers"] == number
    assert several.status()["workers"] == 8
    done = several.run("mailctl", "status", "--instance", "../x", check=False)
    assert done.returncode == 64 and "--instance: " in done.stderr


def test_a_reload_is_of_one(several):
    several.write("/etc/maild/news.toml", "workers = 5\n")
    several.systemctl("reload", "maild@news")
    until(lambda: several.shown("StatusText", "maild@news.service").startswith("5 workers"), "the status tells it")
    several.write("/etc/maild/news.toml", "wrokers = 6\n")
    assert several.systemctl("reload", "maild@news", check=False).returncode != 0
    several.write("/etc/maild/news.toml", "workers = 2\n")
    several.systemctl("reload", "maild@news")
    assert several.status()["workers"] == 8


def test_metrics_are_on_a_unix_socket_and_on_a_port_by_a_drop_in(several):
    several.drop_in("[Socket]\nListenStream=127.0.0.1:9826\n", unit="maild-metrics@news.socket")
    several.systemctl("stop", "maild@news.service", "maild-metrics@news.socket")
    several.systemctl("start", "maild@news.service")
    unix = several.path("/run/maild/news/metrics.sock")
    for asking in (f"s = socket.socket(socket.AF_UNIX); s.connect('{unix}')",
                   "s = socket.create_connection(('127.0.0.1', 9826))"):
        client = several.background(
            sys.executable, "-c", f"import socket; {asking}; s.sendall(b'GET /metrics HTTP/1.0\\r\\n\\r\\n'); "
            "print(s.makefile().read())", network_only=True, stdout=subprocess.PIPE, text=True)
        text, _ = client.communicate(timeout=30)
        assert client.returncode == 0 and "200 OK" in text and "maild_jobs" in text, asking


def test_the_doctor_examines_an_instance(several):
    several.write("/etc/maild/shop-2.toml", "workers = 3\n")
    done = several.run("mailctl", "doctor", "--json", "--instance", "shop-2", check=False)
    findings = json.loads(done.stdout)["findings"]
    assert done.returncode == 0, findings
    seen = {finding["subject"] for finding in findings if finding["verdict"] == "ok"}
    assert {*units("shop-2"), "/run/maild/shop-2/submit.sock", "/run/maild/shop-2/control.sock",
            "/etc/maild/shop-2.toml", "/var/lib/maild/instances/shop-2"} <= seen
    several.systemctl("stop", "maild@shop-2.service")
    done = several.run("mailctl", "doctor", "--json", "--instance", "shop-2", check=False)
    told = {finding["subject"]: finding["advice"] for finding in json.loads(done.stdout)["findings"]
            if finding["verdict"] == "problem"}
    several.systemctl("start", "maild@shop-2.service")
    assert told.get("maild@shop-2.service") == "systemctl enable --now maild@shop-2.service"


def test_an_instance_comes_back_after_a_boot(several):
    several.run("mailctl", "pause", "--instance", "news")
    submit(several, "news", "--ref", "waits")
    several.stop("--crash")
    several.boot()
    for name in ["maild.service", *(f"maild@{name}.service" for name in NAMES)]:
        several.wait_until_active(name)
    before = len(mail(several, "news"))
    several.run("mailctl", "resume", "--instance", "news")
    until(lambda: len(mail(several, "news")) == before + 1, "what had waited is delivered")


def test_an_upgrade_restarts_instances_and_removal_and_purge_take_them_along(several, packages, tmp_path):
    pids = {name: several.shown("MainPID", f"maild@{name}.service") for name in NAMES}
    several.install(debian.of_version(packages["maild"], "0.1.0-2", tmp_path))
    for name, before in pids.items():
        several.wait_until_active(f"maild@{name}.service")
        assert several.shown("MainPID", f"maild@{name}.service") != before, name
    several.run("apt-get", "remove", "-y", "maild", seconds=120)
    for name in NAMES:
        for unit in units(name):
            assert several.shown("ActiveState", unit) == "inactive", unit
        assert several.path(f"/var/lib/maild/instances/{name}/spool.db").exists()
    assert several.path("/etc/maild/news.toml").exists() and several.path(CONFIGURATION).exists()
    several.run("apt-get", "purge", "-y", "maild", seconds=120)
    assert not several.path("/var/lib/maild").exists() and several.path("/etc/maild/news.toml").exists()
    assert several.output("sh", "-c", "ls /etc/systemd/system/*.wants | grep -c maild || true") == "0"
    assert several.output("systemctl", "--failed", "--no-legend") == ""


def test_an_instance_takes_jobs_of_its_group_alone(several, packages):
    several.install(packages["maild"])
    several.systemctl("enable", "--now", "maild@news.service")
    several.run("sh", "-c", "id ann 2>/dev/null || useradd ann")
    done = several.run("mailctl", "submit", "--instance", "news", "--from", "a@example.org", "--to", "b@example.com",
                       "--text", "x", user="ann", check=False)
    assert done.returncode == 77
    with Submission(several.path("/run/maild/news/submit.sock")) as client:
        assert client.ask(job())["state"] == "ready"
