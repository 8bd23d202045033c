# maild, the mail-job daemon
# SPDX-License-Identifier: Apache-2.0
"""Where webhooks may lead, and where not: addresses, names and redirects."""

import os
from pathlib import Path
from urllib.parse import quote

import pytest
from http_server import HTTPServer
from webhooks import QUICK, ask, attempts, hook, reply


@pytest.mark.parametrize("host", [
    "127.0.0.1", "localhost", "[::1]", "[::ffff:127.0.0.1]", "0.0.0.0", "169.254.169.254", "10.0.0.1"])
def test_nobody_goes_to_private_addresses_unless_allowed(maild, host):
    with HTTPServer() as server:
        one = maild(webhook={"allow_private": False}, retry=QUICK).start()
        [name] = ask(one, hook(server.url(host=host)))
        one.wait_for_state(name, "failed")
        verdict, _, text = reply(attempts(one, name)[0])
        assert verdict == "rejected" and text.startswith("no connection is made to http://") and " address" in text
        assert server.connections == 0


@pytest.fixture
def public_maild(maild, tmp_path):
    """In a network of its own, where a redirector has an address that is public, `rebind.example` is loopback, and
    a server that must not be asked listens on loopback and at the address of a cloud's metadata."""
    hosts = tmp_path / "hosts"
    hosts.write_text("93.184.216.34 public.example both.example\n127.0.0.1 localhost rebind.example both.example\n")
    one = maild(webhook={"allow_private": False}, retry=QUICK)
    servers = Path(__file__).with_name("redirector.py")
    addresses = ["93.184.216.34", "169.254.169.254", "127.0.0.1"]
    script = ["ip link set lo up", f"mount --bind {hosts} /etc/hosts"]
    script += [f"ip address add {address}/32 dev lo" for address in addresses[:2]]
    script += [f"python3 {servers} {address} 80 {tmp_path}/{address} &" for address in addresses]
    for address in addresses:
        script.append(f"until (: </dev/tcp/{address}/80) 2>/dev/null; do sleep 0.02; done")
    as_root = [] if os.geteuid() == 0 else ["--map-root-user"]
    one.spawn(["unshare", "--net", "--mount", *as_root, "bash", "-c", "\n".join([*script, 'exec "$@"']), "bash",
               *one.command])
    one.notices.wait_for("READY=1", alive=one.is_alive)
    one.log_of = lambda address: (tmp_path / address).read_text() if (tmp_path / address).exists() else ""
    return one


@pytest.mark.parametrize("location", [
    "http://127.0.0.1/", "http://169.254.169.254/latest/meta-data/", "http://localhost/", "http://rebind.example/",
    "http://[::ffff:127.0.0.1]/", "//127.0.0.1/"])
def test_a_redirect_leads_to_no_private_address(public_maild, location):
    [name] = ask(public_maild, hook(f"http://public.example/{quote(location, safe='')}"))
    public_maild.wait_for_state(name, "failed")
    verdict, _, text = reply(attempts(public_maild, name)[0])
    assert verdict == "rejected" and text.startswith("no connection is made to http://") and " address" in text
    assert quote(location, safe="") in public_maild.log_of("93.184.216.34"), "the public server was asked"
    assert public_maild.log_of("127.0.0.1") == public_maild.log_of("169.254.169.254") == ""


def test_of_a_name_with_public_and_private_addresses_only_the_public_ones_are_asked(public_maild):
    names = ask(public_maild, *(hook(f"http://{host}/stay") for host in ("both.example", "public.example")))
    for name in names:
        public_maild.wait_for_state(name, "delivered")
    [name] = ask(public_maild, hook("http://rebind.example/stay"))
    public_maild.wait_for_state(name, "failed")
    assert "127.0.0.1 is a loopback address" in reply(attempts(public_maild, name)[0])[2]
    assert public_maild.log_of("127.0.0.1") == ""


def test_one_hook_may_be_private_and_leads_to_no_other_private_place(maild):
    with HTTPServer() as ours, HTTPServer() as other:
        one = maild(webhook={"ours": {"url": ours.url("/ours"), "allow_private": True}}, retry=QUICK).start()
        [name] = ask(one, {"type": "webhook", "hook": "ours", "body": 1})
        one.wait_for_state(name, "delivered")
        ours.answers = [(307, {"Location": other.url()}, b"")]
        names = ask(one, {"type": "webhook", "hook": "ours", "body": 1}, hook(ours.url("/not-ours")), hook(other.url()))
        for name in names:
            one.wait_for_state(name, "failed")
            assert "127.0.0.1 is a loopback address" in reply(attempts(one, name)[0])[2]
        assert other.connections == 0 and [asked.path for asked in ours.asked] == ["/ours", "/ours"]
