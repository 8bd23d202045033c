# maild, the mail-job daemon
# SPDX-License-Identifier: Apache-2.0
"""A network of its own for a fleet: a database and nodes in network namespaces, joined by bridges, whose links can be
cut. Needs root.

Each host has a link to the bridge of the database and one to that of the mail server: who is cut off from the one can
still send mail by the other, which is the harder case."""

import ctypes
import os
import subprocess

CLONE_NEWNET = 0x40000000
DATABASE, MAIL = "10.77.1", "10.77.2"


def obstacle():
    """Why there can be none; None where there can."""
    if os.geteuid() != 0:
        return "network namespaces need root"
    done = subprocess.run(["unshare", "--net", "true"], capture_output=True, text=True)
    return done.stderr.strip() if done.returncode else None


class Namespace:
    """Lives as long as a process that does nothing but hold it."""

    def __init__(self):
        self.holder = subprocess.Popen(
            ["unshare", "--net", "sh", "-c", "echo; exec sleep infinity"], stdout=subprocess.PIPE)
        # Once it has said something it is where it should be.
        assert self.holder.stdout.readline() == b"\n"
        self.run("ip", "link", "set", "lo", "up")

    @property
    def path(self):
        return f"/proc/{self.holder.pid}/ns/net"

    @property
    def prefix(self):
        """Words before a command that is to run in it."""
        return ["nsenter", f"--net={self.path}", "--"]

    def run(self, *words):
        done = subprocess.run([*self.prefix, *words], capture_output=True, text=True, timeout=30)
        assert done.returncode == 0, (words, done.stderr)

    def enter(self):
        """The thread that calls this is in it from then on."""
        with open(self.path) as place:
            if ctypes.CDLL(None, use_errno=True).setns(place.fileno(), CLONE_NEWNET):
                raise OSError(ctypes.get_errno(), "setns")

    def end(self):
        self.holder.kill()
        self.holder.wait()
        self.holder.stdout.close()


class Network:
    """The hub holds both bridges; the mail server is to live there, at `mail_host`."""

    mail_host = f"{MAIL}.1"

    def __init__(self):
        self.hub, self.hosts = Namespace(), []
        for bridge, net in (("database", DATABASE), ("mail", MAIL)):
            self.hub.run("ip", "link", "add", bridge, "type", "bridge")
            self.hub.run("ip", "address", "add", f"{net}.1/24", "dev", bridge)
            self.hub.run("ip", "link", "set", bridge, "up")

    def host(self):
        """One more; its address is `10.77.1.N` and `10.77.2.N`."""
        host = Namespace()
        self.hosts.append(host)
        host.number = 9 + len(self.hosts)
        for bridge, net in (("database", DATABASE), ("mail", MAIL)):
            inside, outside = f"{bridge[0]}{host.number}", f"{bridge[0]}{host.number}-hub"
            self.hub.run("ip", "link", "add", outside, "type", "veth", "peer", inside, "netns", str(host.holder.pid))
            self.hub.run("ip", "link", "set", outside, "master", bridge, "up")
            host.run("ip", "address", "add", f"{net}.{host.number}/24", "dev", inside)
            host.run("ip", "link", "set", inside, "up")
        host.address = f"{DATABASE}.{host.number}"
        return host

    def cut(self, host):
        """What it sends to the database, and what the database sends to it, is lost without a word."""
        self.hub.run("ip", "link", "set", f"d{host.number}-hub", "down")

    def join(self, host):
        self.hub.run("ip", "link", "set", f"d{host.number}-hub", "up")

    def clean_up(self):
        for each in [*self.hosts, self.hub]:
            each.end()
