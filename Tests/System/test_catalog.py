# maild, the mail-job daemon
# SPDX-License-Identifier: Apache-2.0
"""The journal's message catalog: an entry for each kind of event, which says what to do."""

import re
import subprocess

from maild import ROOT

CATALOG = ROOT / "systemd/maild.catalog"
TELEMETRY = ROOT / "Sources/MailTelemetry"


def ids():
    """{name: id} as EventID.swift has them."""
    return dict(re.findall(r'static let (\w+): StaticString = "(\w+)"', (TELEMETRY / "EventID.swift").read_text()))


def entries():
    """{id: text}."""
    parts = re.split(r"^-- ([0-9a-f]{32})\n", CATALOG.read_text(), flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2]))


def test_every_event_has_an_entry_and_every_entry_an_event():
    events, catalog = ids(), entries()
    assert len(events) > 20 and len(set(events.values())) == len(events)
    missing = {name: identity for name, identity in events.items() if identity not in catalog}
    assert not missing, f"add an entry for each to systemd/maild.catalog: {missing}"
    assert not set(catalog) - set(events.values()), "systemd/maild.catalog has entries for no event of EventID.swift"


def test_every_entry_has_a_subject_and_says_something():
    for identity, text in entries().items():
        head, _, body = text.partition("\n\n")
        assert re.match(r"Subject: \S.*\nDefined-By: maild\nDocumentation: man:maild\(8\)$", head), (identity, head)
        assert len(re.sub(r"^#.*$", "", body, flags=re.MULTILINE).split()) >= 10, identity


def test_the_fields_that_entries_quote_are_written():
    code = "".join(path.read_text() for path in TELEMETRY.glob("*.swift"))
    written = set(re.findall(r'field\("(\w+)"', code))
    quoted = set(re.findall(r"MAILD_([A-Z_]+)", CATALOG.read_text()))
    assert quoted and quoted <= written, f"no event writes {sorted(quoted - written)}"


def test_journalctl_takes_the_catalog(tmp_path):
    source = tmp_path / "usr/lib/systemd/catalog"
    source.mkdir(parents=True)
    (source / "maild.catalog").write_bytes(CATALOG.read_bytes())
    (tmp_path / "var/lib/systemd/catalog").mkdir(parents=True)
    root = f"--root={tmp_path}"
    made = subprocess.run(["journalctl", root, "--update-catalog"], capture_output=True, text=True, timeout=60)
    assert (made.returncode, made.stderr) == (0, "")
    shown = subprocess.run(["journalctl", root, "--list-catalog"], capture_output=True, text=True, timeout=60)
    assert sorted(line.split()[0] for line in shown.stdout.splitlines()) == sorted(ids().values())
