# maild, the mail-job daemon
# SPDX-License-Identifier: Apache-2.0
"""maild-feed as a process, and what its tests look at."""

import os
import re
import signal
import subprocess
import urllib.request
from collections import defaultdict
from email import message_from_bytes
from pathlib import Path

from maild import ROOT, toml
from notices import Notices
from prometheus_client.parser import text_string_to_metric_families
from waiting import PATIENCE, free_port, until

FEED = os.environ.get("MAILD_FEED_BIN", str(ROOT / ".build/release/maild-feed"))


class Feed:
    """One maild-feed, over all its starts, in front of `maild`."""

    def __init__(self, directory, maild, name="shop", **settings):
        self.directory = Path(directory)
        self.name = name
        self.configuration_path = self.directory / f"{name}.toml"
        self.log_path = self.directory / f"{name}.log"
        self.run_directory = self.directory / "run"
        self.run_directory.mkdir(exist_ok=True)
        self.status_path = self.run_directory / name
        self.port = free_port()
        self.notices = Notices(self.directory / f"{name}.notify")
        self.process = None
        self.environment = {}
        self.sockets = {"submit": str(maild.submit_path), "control": str(maild.control_path)}
        self.configure(**settings)

    def configure(self, **settings):
        defaults = {"metrics": f"127.0.0.1:{self.port}", "log_level": "debug"}
        self.configuration_path.write_text(toml(defaults | settings | {"maild": self.sockets}))

    def start(self):
        self.notices.forget()
        self.spawn()
        self.notices.wait_for("READY=1", alive=self.is_alive)
        return self

    def spawn(self):
        command = [FEED, self.name, "--config", str(self.configuration_path), "--run", str(self.run_directory)]
        surroundings = {"PATH": os.environ["PATH"], "NOTIFY_SOCKET": self.notices.path} | self.environment
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(
                command, env=surroundings, stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    def is_alive(self):
        return self.process is not None and self.process.poll() is None

    def stop(self, seconds=PATIENCE):
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout=seconds)

    def kill(self):
        self.process.kill()
        self.process.wait()

    def clean_up(self):
        if self.is_alive():
            self.kill()
        self.notices.close()

    def log(self):
        return self.log_path.read_text(errors="replace") if self.log_path.exists() else ""

    def wait_for_log(self, pattern):
        return until(lambda: re.search(pattern, self.log()), f"{pattern} in the log: {self.log()[-2000:]}")

    def text(self):
        """What Prometheus would read."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/metrics", timeout=PATIENCE) as answer:
            return answer.read().decode()

    def metrics(self):
        """{name: {values of the labels but the feed's, or "": number}}"""
        found = defaultdict(dict)
        for family in text_string_to_metric_families(self.text()):
            for sample in family.samples:
                others = [value for label, value in sample.labels.items() if label != "feed"]
                found[sample.name]["/".join(others)] = sample.value
        return found

    def number(self, name, label=""):
        return self.metrics()[f"maild_feed_{name}"].get(label, 0)

    def wait_for(self, name, wanted, label="", seconds=PATIENCE):
        until(lambda: self.number(name, label) >= wanted,
              f"{name} {label} is {wanted}; the log is {self.log()[-2000:]}", seconds)


def jobs_by_subject(maild):
    """{subject: set of the ids of its jobs}, of all that lies in the Maildir. The id is in the Message-ID, which stays
    the same where maild itself delivers one job twice."""
    found = defaultdict(set)
    for folder in ("new", "cur"):
        for path in (maild.directory / "maildir" / folder).glob("*"):
            message = message_from_bytes(path.read_bytes())
            found[message["Subject"]].add(message["Message-ID"])
    return found
