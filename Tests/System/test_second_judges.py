# maild, the mail-job daemon
# SPDX-License-Identifier: Apache-2.0
"""Judges beside the first ones: OpenDKIM and Exim for signatures, SpamAssassin for the look of a message."""

import re
import subprocess

import pytest
from dkim_judge import Keys
from servers import Exim, NameServer, Root
from submission import job
from test_dkim import CORPUS, FILE, RAWS, UNSUBSCRIBE, raw, send
from waiting import until


@pytest.fixture
def keys(tmp_path):
    return Keys(tmp_path)


def zone(keys):
    return {name.decode().rstrip("."): text.decode() for name, text in keys.zone.items()}


def test_opendkim_takes_the_rsa_signature_of_every_message_of_the_corpus(maild, keys):
    jobs = [job(**fields) for fields in CORPUS] + [raw(text) for text in RAWS[:3]]
    messages = send(maild, jobs, dkim=[keys.entry("example.org", "r1")])
    with NameServer(zone(keys)) as names, Root().make(names.address) as opendkim:
        for request, message in zip(jobs, messages):
            judged = opendkim.run("/usr/sbin/opendkim-testmsg", input=message)
            assert (judged.returncode, judged.stderr) == (0, b""), (request, message)
        forged = opendkim.run("/usr/sbin/opendkim-testmsg", input=messages[0].replace(b"Subject: hi", b"Subject: ho"))
        assert forged.returncode != 0, "it would take anything"


def test_exim_takes_both_signatures_as_they_arrive_by_bdat(maild, keys):
    entries = [keys.entry("example.org", "r1"), keys.entry("example.org", "e1", "ed25519")]
    exim = Exim()
    with NameServer(zone(keys)) as names:
        try:
            exim.start(names.address)
            one = maild(workers=2, dkim=entries, relay={"exim": {"host": "127.0.0.1", "port": exim.port}}).start()
            jobs = [job(**{key: value for key, value in fields.items() if key not in ("to", "bcc", "cc")})
                    for fields in CORPUS]
            with one.submission() as client:
                names = [answer["job"] for answer in client.send(*jobs).answers(len(jobs))]
            for name in names:
                one.wait_for_state(name, "delivered")
            until(lambda: len(exim.messages()) == len(jobs), "all are delivered")
            log = exim.log()
        finally:
            exim.stop()
    verdicts = re.findall(r"DKIM: d=example\.org s=(\w+) .*\[(.*)\]", log)
    assert sorted(verdicts) == sorted([("e1", "verification succeeded"), ("r1", "verification succeeded")] * len(jobs))


LOOKS = {
    "plain": {}, "empty": {"content": ""}, "alternative": {"content": "Grüße", "html": "<p>Grüße an <b>alle</b></p>"},
    "named": {"from": "Zoë Example <zoe@example.org>", "to": "Jürgen Ünal <j@example.com>", "subject": "Grüße 🎉 " * 9},
    "scripts": {"content": "Съешь же ещё этих мягких французских булок.\n" * 30, "subject": "これは非常に長い件名であり、複数"},
    "files": {"attachments": [FILE, FILE | {"name": "Übersicht 2026.pdf", "content_type": "application/pdf"}]},
    "inline": {"html": "<p>Hello <img src='cid:a'></p>", "content": "Hello", "attachments": [FILE | {"cid": "a"}]},
    "newsletter": {"headers": UNSUBSCRIBE | {"Auto-Submitted": "auto-generated"}},
    "long lines": {"content": "x" * 998 + "\n" + "y" * 5000},
    "many": {"to": [f"recipient.{n}@example.com" for n in range(200)]},
}


def test_spamassassin_finds_no_fault_with_the_form_of_a_message(maild, keys):
    messages = send(maild, [job(**fields) for fields in LOOKS.values()], dkim=[keys.entry("example.org", "r1")])
    found = {}
    for name, message in zip(LOOKS, messages):
        # -t: a report whatever the score; -L: no look into the network.
        judged = subprocess.run(["spamassassin", "-t", "-L"], input=message, capture_output=True, timeout=120)
        assert judged.returncode == 0, judged.stderr
        report = judged.stdout.decode(errors="replace").rpartition("Content analysis details:")[2]
        rules = re.findall(r"^ *-?\d+\.\d +([A-Z][A-Z0-9_]+) ", report, re.M)
        assert rules, f"no report in {judged.stdout[-2000:]}"
        found[name] = [rule for rule in rules if re.match(r"MIME_|MISSING_|INVALID_|.*_MALFORMED|BASE64_", rule)]
    assert found == {name: [] for name in LOOKS}


def test_spamassassin_finds_the_faults_of_a_message_that_has_some():
    bad = b"Subject: x\r\nContent-Type: text/html; charset=utf-8\r\n\r\n<b>hi</b>\r\n"
    judged = subprocess.run(["spamassassin", "-t", "-L"], input=bad, capture_output=True, timeout=120)
    assert b" MISSING_DATE " in judged.stdout and b" MISSING_FROM " in judged.stdout
