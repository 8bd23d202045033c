# maild, the mail-job daemon
# SPDX-License-Identifier: Apache-2.0
"""DNSSEC: a signed zone with a trust anchor of its own, validated by maild itself."""

import pytest
from mx_stage import stage  # noqa: F401

RETRY = {"first_seconds": 0.5, "wait_seconds_max": 1}


def signed(stage, tmp_path, dnssec):
    """A signed zone, and the settings to trust it."""
    zone = stage.names.zone(
        "signed.example", "@ MX 0 mx", "mx A 127.0.0.2", "forged MX 0 mx", "moved MX 0 there", "there A 127.0.0.3",
        signed=True)
    anchor = tmp_path / "anchor"
    anchor.write_text(zone.anchor())
    return zone, {"servers": stage.names.settings["servers"], "dnssec": dnssec, "trust_anchor": anchor}


@pytest.mark.parametrize("dnssec", ["auto", "required"])
def test_what_is_signed_is_believed_and_what_is_forged_is_not(stage, tmp_path, dnssec):
    server = stage.host(2)
    zone, settings = signed(stage, tmp_path, dnssec)
    zone.replace("forged", "MX", "0 evil")
    zone.replace("there", "A", "127.0.0.2")
    stage.names.zone("plain.example", "@ MX 0 mx", "mx A 127.0.0.2")
    stage.start(dns=settings, retry=RETRY)
    stage.deliver("a@signed.example")
    stage.deliver("a@plain.example")
    forged = stage.submit("a@forged.signed.example")
    fate = stage.wait_for_deferral(
        forged, "the DNS answer for forged.signed.example (MX) is bogus by DNSSEC:")["fates"][0]
    assert (fate["verdict"], fate["code"], fate["enhanced"]) == ("deferred", 451, "4.4.3")
    stage.wait_for_deferral(
        stage.submit("a@moved.signed.example"), "the DNS answer for there.signed.example (A) is bogus by DNSSEC:")
    # Signed as well: that it does not exist.
    _, said = stage.attempt(stage.submit("a@nowhere.signed.example"), "failed")
    assert said == "550 5.1.2 the domain nowhere.signed.example does not exist"
    assert len(server.messages) == 2


@pytest.mark.parametrize("dnssec, believed", [("auto", True), ("required", False), ("off", True)])
def test_a_name_server_without_signatures_is_believed_unless_they_are_required(stage, tmp_path, dnssec, believed):
    stage.host(2)
    _, settings = signed(stage, tmp_path, dnssec)
    stage.names.zones.clear()
    stage.names.zone("signed.example", "@ MX 0 mx", "mx A 127.0.0.2")
    if dnssec == "off":
        del settings["trust_anchor"]
    stage.start(dns=settings, retry=RETRY)
    if believed:
        stage.deliver("a@signed.example")
    else:
        stage.wait_for_deferral(stage.submit("a@signed.example"), "is bogus by DNSSEC:")


def test_a_trust_anchor_that_is_none_ends_the_start(stage, tmp_path):
    stage.host(2)
    (tmp_path / "anchor").write_text("nonsense\n")
    one = stage.make_maild(
        relay=stage.relay(), dns=stage.names.settings | {"dnssec": "auto", "trust_anchor": tmp_path / "anchor"})
    one.spawn()
    assert one.process.wait(timeout=20) == 78
    assert f"dns: trust anchor {tmp_path}/anchor:" in one.log()
