# maild, the mail-job daemon
# SPDX-License-Identifier: Apache-2.0
"""A booted Debian with systemd (Tests/System/box) in which the package is installed and treated badly."""

import fcntl
import os
import re
import shutil
import subprocess
import tempfile
from contextlib import contextmanager
from pathlib import Path

from control import Control
from submission import Submission
from waiting import PATIENCE, until

SCRIPTS = Path(__file__).resolve().parent / "box"
PACKAGES = ["libsqlite3-0", "libunbound8"]
"""What the root file system must hold for the package to be installable without a network."""
TOOLS = {"systemd-nspawn": "systemd-container", "debootstrap": "debootstrap", "nsenter": "util-linux",
         "autopkgtest": "autopkgtest", "piuparts": "piuparts"}
CONFIGURATION = "/etc/maild/maild.toml"
SOCKETS = ["maild.socket", "maild-control.socket", "maild-metrics.socket"]


def obstacle():
    """Why no box can be booted here, in a sentence that says what is missing; None where one can."""
    if os.geteuid() != 0:
        return "the tests under a real systemd need root (systemd-nspawn boots a container)"
    missing = sorted({package for tool, package in TOOLS.items() if not shutil.which(tool)})
    if missing:
        return f"the tests under a real systemd need: apt-get install {' '.join(missing)}"
    made = subprocess.run([SCRIPTS / "make-rootfs", *PACKAGES], capture_output=True, text=True)
    if made.returncode != 0:
        return f"the tests under a real systemd need a Debian to boot, and could not make it: {made.stderr.strip()}"
    return None


def checked(*command):
    """The output of a command of this host that must succeed."""
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, f"{command}: {done.returncode}\n{done.stdout}{done.stderr}"
    return done.stdout


def rootfs():
    """The pristine root file system, once `obstacle` has found none in the way."""
    return Path(os.environ.get("BOX_ROOTFS", "/var/tmp/maild-box-rootfs"))


class Box:
    """One box over all its boots."""

    def __init__(self, name):
        self.name = name
        self.environment = os.environ | {"BOX": name}
        self.share = Path(os.environ.get("BOX_STATE", "/var/tmp/maild-box-state")) / name / "share"

    def boot(self, *options):
        done = subprocess.run([SCRIPTS / "boot", *options], env=self.environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
        return self

    def stop(self, *options):
        """--crash, --purge."""
        done = subprocess.run([SCRIPTS / "stop", *options], env=self.environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr

    # Commands

    def run(self, *command, user=None, check=True, seconds=60, **options):
        """A finished command of the box, as root or as one of its users; output and errors as text."""
        as_user = ["setpriv", f"--reuid={user}", f"--regid={user}", "--init-groups", "--reset-env"] if user else []
        finished = subprocess.run(
            [SCRIPTS / "in-box", "timeout", str(seconds), *as_user, *map(str, command)], env=self.environment,
            capture_output=True, text=True, **({"stdin": subprocess.DEVNULL} if "input" not in options else {}),
            **options)
        assert not check or finished.returncode == 0, \
            f"{command}: {finished.returncode}\n{finished.stdout}{finished.stderr}\n{self.journal('-n', 30)}"
        return finished

    def output(self, *command, **options):
        return self.run(*command, **options).stdout.strip()

    def systemctl(self, *words, **options):
        return self.run("systemctl", *words, **options)

    def shown(self, name, unit="maild.service"):
        return self.output("systemctl", "show", "--value", "-p", name, unit)

    def journal(self, *words):
        done = subprocess.run(
            [SCRIPTS / "in-box", "journalctl", "--no-pager", "-u", "maild.service", *map(str, words)],
            env=self.environment, capture_output=True, text=True)
        return done.stdout

    def journal_place(self):
        """Where the journal ends now, for `wait_for_journal`."""
        shown = self.output("journalctl", "-n", 1, "--show-cursor")
        return shown.rpartition("-- cursor: ")[2]

    def wait_for_journal(self, text, place, *words):
        """Until the service's journal has `text` after `place`: a busy queue scrolls any number of last lines away,
        and the journal takes lines some time after they were written."""
        until(lambda: text in self.journal("--after-cursor", place, *words), f"the journal says: {text}")

    def background(self, *command, network_only=False, **options):
        """A Popen: a command of the box, or one of this host on the box's network."""
        where = ["--net"] if network_only else []
        return subprocess.Popen(
            [SCRIPTS / "in-box", *where, *map(str, command)], env=self.environment,
            **({"stdin": subprocess.DEVNULL} | options))

    # Files

    @property
    def leader(self):
        """The box's process 1 as this host numbers it."""
        nspawn = (self.share.parent / "nspawn").read_text().strip()
        children = Path(f"/proc/{nspawn}/task/{nspawn}/children").read_text().split()
        return next(int(pid) for pid in children if Path(f"/proc/{pid}/comm").read_text() == "systemd\n")

    def path(self, path):
        """A file or socket of the box, as this host sees it."""
        return Path(f"/proc/{self.leader}/root") / str(path).lstrip("/")

    def write(self, path, text, mode=0o644):
        file = self.path(path)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        file.chmod(mode)

    def drop_in(self, text, unit="maild.service", name="test"):
        """Further lines for a unit; in force at its next start."""
        self.write(f"/etc/systemd/system/{unit}.d/{name}.conf", text)
        self.systemctl("daemon-reload")

    # maild in it

    def install(self, *packages, **options):
        for package in packages:
            shutil.copy(package, self.share)
        return self.run(
            "env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "install", "-y", "-q", "--allow-downgrades",
            "--no-install-recommends", *(f"/share/{Path(package).name}" for package in packages), seconds=120,
            **options)

    def install_from_debian(self, *names):
        """Packages of Debian with all they need. This host's apt fetches them, for a system like the box, and keeps
        them for the next time."""
        kept = self.share.parents[1] / "packages"
        with self._debian_lists() as lists, open(kept.with_suffix(".lock"), "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            (kept / "partial").mkdir(parents=True, exist_ok=True)
            apt = ["apt-get", "-q", *lists, "install", "-y", "--no-install-recommends", *names]
            files = re.findall(r"^'\S+' (\S+\.deb) ", checked(*apt, "--print-uris"), re.MULTILINE)
            checked(*apt, "-o", f"Dir::Cache::archives={kept}", "--download-only")
            for file in files:
                shutil.copy(kept / file, self.share)
        self.run("env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "install", "-y", "-q", "--no-install-recommends",
                 *(f"/share/{file}" for file in files), seconds=300)

    @contextmanager
    def _debian_lists(self):
        """apt's options for what this host knows of Debian and the box has installed."""
        with tempfile.TemporaryDirectory() as directory:
            (Path(directory) / "archives/partial").mkdir(parents=True)
            shutil.copy(self.path("/var/lib/dpkg/status"), directory)
            yield ["-o", f"Dir::State::status={directory}/status", "-o", f"Dir::Cache={directory}", "-o",
                   "Debug::NoLocking=true", "-o", "APT::Sandbox::User=root"]

    def submission(self):
        return Submission(self.path("/run/maild/submit.sock"))

    @property
    def control(self):
        return Control(self.path("/run/maild/control.sock"))

    def status(self):
        return self.control.call("Status")

    def main_pid(self):
        return int(self.shown("MainPID"))

    def signal(self, number):
        """To maild, from outside the box: systemd knows nothing of it. The process is found by its cgroup's list."""
        inside = str(self.main_pid())
        for pid in self._processes():
            numbers = next(line for line in Path(f"/proc/{pid}/status").read_text().split("\n")
                           if line.startswith("NSpid:")).split()[1:]
            if numbers[-1] == inside:
                return os.kill(pid, number)
        raise AssertionError("maild does not run")

    def process(self, name):
        """The one of that name (15 letters of it) beneath the box's process 1, as this host numbers it."""
        found = [pid for pid in self._processes() if Path(f"/proc/{pid}/comm").read_text().strip() == name[:15]]
        assert len(found) == 1, f"{name}: {found}"
        return found[0]

    def _processes(self):
        """Children of the box's process 1, as this host numbers them."""
        return [int(pid) for pid in Path(f"/proc/{self.leader}/task/{self.leader}/children").read_text().split()]

    def wait_until_active(self, unit="maild.service", seconds=PATIENCE):
        until(lambda: self.shown("ActiveState", unit) == "active", f"{unit} is active", seconds)

    def mail(self):
        """The messages in the Maildir, as text."""
        folder = self.path("/var/lib/maild/maildir/new")
        return [file.read_text() for file in folder.iterdir()] if folder.exists() else []


def reset(box):
    """The installed box as it was after the installation."""
    box.systemctl("stop", "maild.service", *SOCKETS)
    box.run("sh", "-c", "rm -rf /var/lib/maild/* /etc/systemd/system/maild*.d; chmod 700 /var/lib/maild; "
            f"cp {CONFIGURATION}.dpkg {CONFIGURATION} "
            f"2>/dev/null || cp {CONFIGURATION} {CONFIGURATION}.dpkg")
    box.systemctl("daemon-reload")
    box.systemctl("reset-failed")
    box.systemctl("start", *SOCKETS, "maild.service")
