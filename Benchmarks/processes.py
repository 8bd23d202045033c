# maild, the mail-job daemon
# SPDX-License-Identifier: Apache-2.0
"""The processes of a measurement: maild itself, the sinks it delivers into, and the small C programs."""

import json
import os
import re
import signal
import socket
import subprocess
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PROGRAMS = ROOT / ".build/bench/bin"
MAILD = PROGRAMS / "maild"
"""As it is packaged: with Swift's runtime inside (scripts/link-static)."""
MAILCTL = PROGRAMS / "mailctl"
PATIENCE = 30.0
TICK = os.sysconf("SC_CLK_TCK")


class Failure(Exception):
    """A measurement that means nothing, with the reason."""


def wait_for(check, what, seconds=PATIENCE, every=0.02):
    deadline = time.monotonic() + seconds
    while not (found := check()):
        if time.monotonic() > deadline:
            raise Failure(f"after {seconds:.0f} s still not: {what}")
        time.sleep(every)
    return found


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def run_program(name, *arguments, **environment):
    """The JSON object that one of our C programs prints."""
    return run_command(PROGRAMS / name, *arguments, **environment)


def run_command(*command, **environment):
    """The JSON object that a command prints; `environment`: what it finds there besides."""
    words = [str(word) for word in command]
    done = subprocess.run(words, capture_output=True, text=True, env={**os.environ, **environment})
    if done.returncode:
        raise Failure(f"{' '.join(words)}: {done.stderr.strip() or done.stdout.strip()}")
    return json.loads(done.stdout.splitlines()[-1])


def output_of(*command):
    """What a command prints, or nothing where it cannot be run."""
    try:
        return subprocess.run([str(word) for word in command], capture_output=True, text=True, cwd=ROOT).stdout.strip()
    except OSError:
        return ""


def version_of(*command):
    return output_of(*command).partition("\n")[0] or "of unknown version"


class Process:
    """A child that is ended, by its pid, when the `with` block ends."""

    def __init__(self, command, log):
        self.log = log
        with open(log, "wb") as output:
            self.child = subprocess.Popen(
                [str(word) for word in command], stdin=subprocess.DEVNULL, stdout=output, stderr=output
            )

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.child.poll() is None:
            self.child.terminate()
            try:
                self.child.wait(PATIENCE)
            except subprocess.TimeoutExpired:
                self.child.kill()
                self.child.wait()

    def check_alive(self):
        if self.child.poll() is not None:
            tail = "\n".join(Path(self.log).read_text(errors="replace").splitlines()[-10:])
            raise Failure(f"{self.child.args[0]} ended with status {self.child.returncode}:\n{tail}")
        return True


class Maild(Process):
    """A maild of its own in `directory`, with a relay on `port` where one is given. `exists`: started once more on what
    an earlier one has left there."""

    def __init__(self, directory, port=None, log_level="info", exists=False, settings="", workers=32, connections=16,
                 program=MAILD):
        """`settings`: more lines of the configuration."""
        self.directory, self.program = Path(directory), program
        self.directory.mkdir(parents=True, exist_ok=exists)
        self.submit = self.directory / "submit.sock"
        self.control = self.directory / "control.sock"
        lines = ['hostname = "bench.localhost"', f'log_level = "{log_level}"', f"workers = {workers}"]
        lines += ["[sockets]", f'metrics = "127.0.0.1:{free_port()}"', settings]
        if port:
            lines += ["[relay.bench]", 'host = "127.0.0.1"', f"port = {port}", f"connections_max = {connections}"]
        self.configuration = self.directory / "maild.toml"
        self.configuration.write_text("\n".join(lines) + "\n")
        super().__init__(self.command(), self.directory / "maild.log")

    def command(self):
        return [self.program, "--state", self.directory, "--config", self.configuration]

    def __enter__(self):
        wait_for(lambda: self.check_alive() and self.answers(), "maild answers on its control socket")
        return self

    def answers(self):
        try:
            return bool(self.status())
        except OSError:
            return False

    def status(self):
        """What io.maild.Control.Status answers; one connection a call, so that nothing of ours stays in maild."""
        with socket.socket(socket.AF_UNIX) as door:
            door.settimeout(PATIENCE)
            door.connect(str(self.control))
            door.sendall(b'{"method":"io.maild.Control.Status"}\0')
            answer = b""
            while not answer.endswith(b"\0"):
                chunk = door.recv(65536)
                if not chunk:
                    raise Failure("maild closed the control socket in the middle of an answer")
                answer += chunk
        return json.loads(answer[:-1])["parameters"]

    def mailctl(self, *words):
        command = [MAILCTL, *words, "--control-socket", self.control]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            raise Failure(f"mailctl {' '.join(words)}: {done.stderr.strip()}")

    def cpu_seconds(self):
        fields = Path(f"/proc/{self.child.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / TICK

    def resident_bytes(self):
        status = Path(f"/proc/{self.child.pid}/status").read_text()
        return int(re.search(r"VmRSS:\s+(\d+)", status).group(1)) * 1024

    def delivered(self):
        return self.status()["delivered_total"]

    def wake_ups(self):
        """How often each thread has gone to sleep and been woken, by thread id."""
        counts = {}
        for status in Path(f"/proc/{self.child.pid}/task").glob("*/status"):
            text = status.read_text()
            counts[status.parent.name] = int(re.search(r"^voluntary_ctxt_switches:\s+(\d+)", text, re.M).group(1))
        return counts


class FastSink(Process):
    """Benchmarks/sink.c."""

    name = "sink.c"

    def __init__(self, directory, delay_ms=0):
        self.counts = Path(directory) / "sink.counts"
        super().__init__([PROGRAMS / "sink", "-u", self.counts, "-d", delay_ms], Path(directory) / "sink.log")

    def __enter__(self):
        text = wait_for(lambda: self.check_alive() and Path(self.log).read_text(), "the sink listens")
        self.port = int(text.split(":")[1])
        return self

    def messages(self):
        self.counts.unlink(missing_ok=True)
        self.child.send_signal(signal.SIGUSR1)
        text = wait_for(lambda: self.counts.exists() and self.counts.read_text(), "the sink has counted")
        return json.loads(text)["messages"]


class SMTPSink(Process):
    """Postfix's smtp-sink. It is not asked to count: with -c it writes a line for each message, which slows it."""

    name = "smtp-sink"

    def __init__(self, directory):
        self.port = free_port()
        user = ["-u", "nobody"] if os.geteuid() == 0 else []
        super().__init__(["smtp-sink", *user, f"127.0.0.1:{self.port}", 1024], Path(directory) / "smtp-sink.log")

    def __enter__(self):
        wait_for(lambda: self.check_alive() and self.is_listening(), "smtp-sink listens")
        return self

    def is_listening(self):
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def messages(self):
        return None
