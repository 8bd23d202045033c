# maild, the mail-job daemon
# SPDX-License-Identifier: Apache-2.0
"""The operators' socket before the `varlink` package of PyPI, which is not ours, and before clients by hand."""

import json
import re
import socket
from pathlib import Path

import pytest
import varlink
from control import ControlError
from submission import job
from waiting import until

PROTOCOL = (Path(__file__).resolve().parents[2] / "docs/protocol.md").read_text()


@pytest.fixture
def client(running):
    with varlink.Client.new_with_address(f"unix:{running.control_path}") as client:
        yield client


def described():
    return re.search(r"```varlink\n(.*?)```", PROTOCOL, re.DOTALL)[1].strip()


def test_getinfo_names_the_service_and_its_interfaces(client):
    with client.open("org.varlink.service") as service:
        info = service.GetInfo()
    assert set(info["interfaces"]) >= {"org.varlink.service", "io.maild.Control"}
    assert info["product"] and info["version"] and info["vendor"] and "url" in info


def test_the_description_is_the_contract_and_parses(client):
    with client.open("org.varlink.service") as service:
        description = service.GetInterfaceDescription("io.maild.Control")["description"]
        assert "interface org.varlink.service" in service.GetInterfaceDescription("org.varlink.service")["description"]
    assert description.strip() == described()
    interface = varlink.Interface(description)
    methods = {name for name, member in interface.members.items() if type(member).__name__ == "_Method"}
    assert methods == {
        "Status", "Scale", "Pause", "Resume", "List", "Show", "Relays", "Check", "Reload", "Drain", "Retry", "Cancel",
        "Hold", "Release", "Purge", "Watch", "Export", "Import", "CheckSpool", "Fleet"}


def test_every_method_answers_as_described(client, running):
    """The client checks names and types of what it gets against the description."""
    with running.submission() as app:
        name = app.ask(job(ref="v"))["job"]
    running.wait_for_state(name, "delivered")
    with client.open("io.maild.Control") as control:
        assert control.Status()["counts"]["failed"] == 0
        assert control.Scale(8)["workers"] == 8
        assert control.Scale(0) == {"workers": 8, "previous": 8}
        assert control.Pause() == {"paused": True, "was_paused": False}
        assert control.Resume() == {"paused": False, "was_paused": True}
        assert control.List()["jobs"] == []
        assert control.Show(name)["job"]["ref"] == "v"
        [relay] = control.Relays()["relays"]
        assert relay["transport"] == "maildir" and relay["breaker"] == "closed" and relay["delivered"] == 1
        assert control.Reload() == {"changed": [], "restart_needed": []}
        begun = control.CheckSpool(full=True)
        until(lambda: control.CheckSpool(check=begun["check"])["done"], "the check ends")
        assert control.CheckSpool(check=begun["check"])["report"]["problems"] == []
        assert control.Drain(False) == {"draining": False, "was_draining": False}
        for verb in (control.Retry, control.Cancel, control.Hold, control.Release, control.Purge):
            assert verb(ids=["0000000000000"], dry_run=True) == {
                "changed": 0, "ids": [], "unchanged": 1, "others": [{"id": "0000000000000"}]}
            assert verb(filter={"queue": "default", "to": "a@"}) == {
                "changed": 0, "ids": [], "unchanged": 0, "others": []}


def test_the_reply_has_every_field_of_the_description_and_no_other(running):
    interface = varlink.Interface(described())
    for method, parameters in (("Status", {}), ("Pause", {}), ("Resume", {}), ("Scale", {"workers": 2}),
                               ("List", {}), ("Relays", {}), ("Reload", {})):
        reply = running.control.call(method, **parameters)
        fields = interface.members[method].out_type.fields
        needed = {name for name, kind in fields.items() if type(kind).__name__ != "_Maybe"}
        assert needed <= set(reply) <= set(fields), method


def test_no_such_job_is_an_error_of_the_interface(client):
    with client.open("io.maild.Control") as control, pytest.raises(varlink.VarlinkError) as caught:
        control.Show("0000000000000")
    assert caught.value.error() == "io.maild.Control.NoSuchJob"
    assert caught.value.parameters() == {"id": "0000000000000"}


@pytest.mark.parametrize("method, parameters, named", [
    ("Scale", {}, "workers"), ("Scale", {"workers": "8"}, "workers"), ("Scale", {"workers": -1}, "workers"),
    ("Scale", {"workers": 1025}, "workers"), ("Scale", {"workers": 1.5}, "workers"),
    ("Scale", {"workers": None}, "workers"), ("Show", {}, "id"), ("Show", {"id": 5}, "id"),
    ("List", {"limit": 0}, "limit"), ("List", {"limit": 1001}, "limit"),
    ("List", {"state": "sleeping"}, "state"), ("List", {"after": "x"}, "after"),
    ("org.varlink.service.GetInterfaceDescription", {}, "interface"),
])
def test_a_wrong_parameter_is_named(running, method, parameters, named):
    with pytest.raises(ControlError) as caught:
        running.control.call(method, **parameters)
    assert caught.value.name == "org.varlink.service.InvalidParameter"
    assert caught.value.parameters == {"parameter": named}


def test_what_is_not_there_is_said_as_varlink_says_it(running):
    for method, name, parameters in (
            ("io.maild.Control.Dance", "MethodNotFound", {"method": "io.maild.Control.Dance"}),
            ("org.varlink.service.Dance", "MethodNotFound", {"method": "org.varlink.service.Dance"}),
            ("io.maild.Other.Status", "InterfaceNotFound", {"interface": "io.maild.Other"})):
        with pytest.raises(ControlError) as caught:
            running.control.call(method)
        assert caught.value.name == f"org.varlink.service.{name}"
        assert caught.value.parameters in (parameters, {"method": method.rsplit(".", 1)[1]})
    with pytest.raises(ControlError) as caught:
        running.control.call("org.varlink.service.GetInterfaceDescription", interface="io.maild.Other")
    assert caught.value.name == "org.varlink.service.InterfaceNotFound"


def message(method, **more):
    return json.dumps({"method": f"io.maild.Control.{method}"} | more).encode() + b"\0"


def test_calls_may_be_pipelined_and_are_answered_in_order(running):
    calls = [message("Scale", parameters={"workers": n}) for n in range(1, 11)]
    replies = running.control.exchange(b"".join(calls), 10)
    assert [reply["parameters"]["workers"] for reply in replies] == list(range(1, 11))


def test_a_oneway_call_acts_and_is_not_answered(running):
    [reply] = running.control.exchange(message("Pause", oneway=True) + message("Resume"), 1)
    assert reply == {"parameters": {"paused": False, "was_paused": True}}


def test_what_is_no_varlink_ends_the_connection_and_harms_nobody(running):
    for garbage in (b"GET / HTTP/1.0\r\n\r\n\0", b"{}\0", b'{"method":5}\0', b"[]\0", b"\0", b"\xff\0",
                    b'{"method":"io.maild.Control.Status","parameters":5}\0'):
        running.control.exchange(garbage, 1)
        assert running.status()["state"]


def test_a_message_without_end_is_refused_before_it_fills_the_memory(running):

    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(20)
        client.connect(str(running.control_path))
        with pytest.raises((BrokenPipeError, ConnectionResetError)):
            for _ in range(64):
                client.sendall(b"x" * (1 << 20))
    assert running.memory() < 100_000 and running.status()["state"]


def test_many_operators_at_once_are_all_answered(running):

    clients = []
    for _ in range(50):
        clients.append(socket.socket(socket.AF_UNIX))
        clients[-1].connect(str(running.control_path))
        clients[-1].settimeout(20)
    for client in clients:
        client.sendall(message("Status"))
    for client in clients:
        received = b""
        while not received.endswith(b"\0"):
            received += client.recv(65536)
        assert json.loads(received[:-1])["parameters"]["pid"] == running.pid
        client.close()
    descriptors = Path(f"/proc/{running.pid}/fd")
    until(lambda: len(list(descriptors.iterdir())) < 50, "the connections are closed")
