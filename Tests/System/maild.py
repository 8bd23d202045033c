# maild, the mail-job daemon
# SPDX-License-Identifier: Apache-2.0
"""maild as a process: configured, started in each way it can be, watched, stopped and killed."""

import os
import signal
import socket
import subprocess
import urllib.error
import urllib.request
from pathlib import Path

from control import Control
from notices import Notices
from submission import Submission
from waiting import PATIENCE, free_port, until

ROOT = Path(__file__).resolve().parents[2]
MAILD = os.environ.get("MAILD_BIN", str(ROOT / ".build/release/maild"))
MAILCTL = os.environ.get("MAILCTL_BIN", str(ROOT / ".build/release/mailctl"))
NAMES = ("submit", "control", "metrics")


def toml(settings):
    """`settings` as TOML: plain values first, then a table for each dictionary, `relay` one level deeper; a list of
    dictionaries becomes tables in double brackets."""
    def value(thing):
        if isinstance(thing, bool):
            return "true" if thing else "false"
        return f'"{thing}"' if isinstance(thing, (str, Path)) else str(thing)

    def lines(table, path):
        plain = [f"{key} = {value(thing)}" for key, thing in table.items() if not isinstance(thing, (dict, list))]
        text = ([f"[{path}]"] if path and plain else []) + plain
        for key, thing in table.items():
            if isinstance(thing, dict):
                text += lines(thing, f"{path}.{key}" if path else key)
            for element in thing if isinstance(thing, list) else []:
                text += [f"[[{key}]]"] + lines(element, "")
        return text

    return "\n".join(lines(settings, "")) + "\n"


class Maild:
    """One maild with a directory of its own, over all its starts."""

    def __init__(self, directory, **settings):
        self.directory = Path(directory)
        self.submit_path = self.directory / "submit.sock"
        self.control_path = self.directory / "control.sock"
        self.configuration_path = self.directory / "maild.toml"
        self.log_path = self.directory / "maild.log"
        self.port = free_port()
        self.notices = Notices(self.directory / "notify.sock")
        self.process = None
        self._listeners = []
        self.configure(**settings)

    def configure(self, **settings):
        """Writes the file; a test's drain is short, so that a failed one does not hold up the others."""
        sockets = {"metrics": f"127.0.0.1:{self.port}"} | settings.pop("sockets", {})
        self.configuration_path.write_text(
            toml({"hostname": "client.example", "drain_seconds_max": 5} | settings | {"sockets": sockets}))

    # Starting

    @property
    def command(self):
        return [MAILD, "--state", str(self.directory), "--config", str(self.configuration_path)]

    def start(self, how="by hand", **options):
        """`how`: "by hand", "activated" by systemd-socket-activate, or "inherited": this test holds the sockets
        as systemd does, from one start to the next. Returns when maild has said READY=1."""
        self.notices.forget()
        {"by hand": self.spawn, "activated": self._activate, "inherited": self._inherit}[how](**options)
        self.notices.wait_for("READY=1", alive=self.is_alive)
        return self

    def spawn(self, command=None, environment=None, **options):
        """Starts `command`, maild by hand where there is none, without waiting for anything."""
        surroundings = {"PATH": os.environ["PATH"], "NOTIFY_SOCKET": self.notices.path} | (environment or {})
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(
                command or self.command, env=surroundings, stdin=subprocess.DEVNULL, stdout=log, stderr=log, **options)
        return self

    def _activate(self, names=NAMES):
        addresses = {
            "submit": self.submit_path, "control": self.control_path, "metrics": f"127.0.0.1:{self.port}"}
        listen = [word for name in names for word in ("-l", str(addresses[name]))]
        self.spawn([
            "systemd-socket-activate", *listen, f"--fdname={':'.join(names)}",
            "-E", f"NOTIFY_SOCKET={self.notices.path}", *self.command])
        # It starts maild in its own place at the first connection.
        until(self._knock, "systemd-socket-activate listens")

    def _knock(self):
        try:
            with socket.socket(socket.AF_UNIX) as visitor:
                visitor.connect(str(self.submit_path))
            return True
        except OSError:
            return False

    def _inherit(self, environment=None):
        if not self._listeners:
            for path in (self.submit_path, self.control_path):
                self._listeners.append(socket.socket(socket.AF_UNIX))
                self._listeners[-1].bind(str(path))
            self._listeners.append(socket.socket())
            self._listeners[-1].setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            self._listeners[-1].bind(("127.0.0.1", self.port))
            for listener in self._listeners:
                listener.listen(4096)
        # The shell moves the descriptors to 3, 4, 5 and knows the process id that sd_listen_fds(3) wants.
        numbers = [listener.fileno() for listener in self._listeners]
        moves = " ".join(f"{3 + index}<&{number}" for index, number in enumerate(numbers))
        shuts = " ".join(f"{number}<&-" for number in numbers if number not in (3, 4, 5))
        assert min(numbers) > 5, "a descriptor stands where it must be moved to"
        variables = f"LISTEN_PID=$$ LISTEN_FDS=3 LISTEN_FDNAMES={':'.join(NAMES)}"
        self.spawn(
            ["bash", "-c", f'exec {moves} {shuts}; {variables} exec "$@"', "bash", *self.command],
            environment, pass_fds=numbers)

    # Watching

    @property
    def pid(self):
        return self.process.pid

    def is_alive(self):
        return self.process is not None and self.process.poll() is None

    def submission(self):
        return Submission(self.submit_path)

    @property
    def control(self):
        return Control(self.control_path)

    def status(self):
        return self.control.call("Status")

    def counts(self):
        return self.status()["counts"]

    def wait_for_counts(self, seconds=PATIENCE, **wanted):
        """Until the queue's numbers are as wanted; the others do not matter."""
        def reached():
            counts = self.counts()
            return all(counts[name] == number for name, number in wanted.items())
        until(reached, f"{wanted}; the status is {self.status()}", seconds)

    def show(self, job):
        return self.control.call("Show", id=job)

    def wait_for_state(self, job, *states, seconds=PATIENCE):
        until(lambda: self.show(job)["job"]["state"] in states, f"{job} is {states}; it is {self.show(job)}", seconds)
        return self.show(job)

    def http(self, path, **headers):
        """(status, headers, text) of a GET on the metrics socket."""
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}{path}", headers=headers)
        try:
            with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
                return answer.status, answer.headers, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.headers, error.read().decode()

    def mailctl(self, *arguments, **options):
        """A finished mailctl, with its output as text."""
        environment = {
            "PATH": os.environ["PATH"], "MAILD_SUBMIT_SOCKET": str(self.submit_path),
            "MAILD_CONTROL_SOCKET": str(self.control_path)}
        return subprocess.run(
            [MAILCTL, *arguments], env=environment, text=True, capture_output=True, timeout=60,
            **({"stdin": subprocess.DEVNULL} | options if "input" not in options else options))

    def memory(self, name="VmRSS"):
        """Kilobytes, as /proc/PID/status counts them."""
        lines = Path(f"/proc/{self.pid}/status").read_text().splitlines()
        return int(next(line for line in lines if line.startswith(f"{name}:")).split()[1])

    def log(self):
        return self.log_path.read_text(errors="replace") if self.log_path.exists() else ""

    # Stopping

    def stop(self, seconds=PATIENCE):
        """SIGTERM; the exit status."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout=seconds)

    def kill(self):
        self.process.kill()
        self.process.wait()

    def restart(self, how="by hand"):
        assert self.stop() == 0
        return self.start(how)

    def clean_up(self):
        if self.is_alive():
            try:
                self.stop()
            except subprocess.TimeoutExpired:
                self.kill()
        for listener in self._listeners:
            listener.close()
        self.notices.close()
