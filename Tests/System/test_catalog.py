# maild, the mail-job daemon
# SPDX-License-Identifier: Apache-2.0
"""The journal's message catalog: an entry for each kind of event, which says what to do."""

import re
import subprocess

import pytest
from maild import ROOT


class Catalog:
    """One program's: its file, and where its events are."""

    def __init__(self, program, file, room, events):
        self.program, self.path = program, ROOT / file
        self.room = ROOT / "Sources" / room
        self.events_path = self.room / events

    def ids(self):
        """{name: id} as the code has them."""
        return dict(re.findall(r'static let (\w+): StaticString = "(\w+)"', self.events_path.read_text()))

    def entries(self):
        """{id: text}."""
        parts = re.split(r"^-- ([0-9a-f]{32})\n", self.path.read_text(), flags=re.MULTILINE)
        return dict(zip(parts[1::2], parts[2::2]))


CATALOGS = [Catalog("maild", "systemd/maild.catalog", "MailTelemetry", "EventID.swift"),
            Catalog("maild-feed", "systemd/feed/maild-feed.catalog", "MailFeed", "FeedEventID.swift")]
each = pytest.mark.parametrize("catalog", CATALOGS, ids=lambda catalog: catalog.program)


@each
def test_every_event_has_an_entry_and_every_entry_an_event(catalog):
    events, entries = catalog.ids(), catalog.entries()
    assert len(events) > 10 and len(set(events.values())) == len(events)
    missing = {name: identity for name, identity in events.items() if identity not in entries}
    assert not missing, f"add an entry for each to {catalog.path}: {missing}"
    assert not set(entries) - set(events.values()), f"{catalog.path} has entries for no event of {catalog.events_path}"


def test_no_id_stands_for_two_events():
    ids = [identity for catalog in CATALOGS for identity in catalog.ids().values()]
    assert len(set(ids)) == len(ids)


@each
def test_every_event_is_written_by_somebody(catalog):
    code = "".join(path.read_text() for path in catalog.room.rglob("*.swift") if path != catalog.events_path)
    kind = catalog.events_path.stem
    assert not [name for name in catalog.ids() if not re.search(rf"\b{kind}\.{name}\b", code)]


@each
def test_every_entry_has_a_subject_and_says_something(catalog):
    page = re.escape(f"man:{catalog.program}(8)")
    for identity, text in catalog.entries().items():
        head, _, body = text.partition("\n\n")
        assert re.match(rf"Subject: \S.*\nDefined-By: maild\nDocumentation: {page}$", head), (identity, head)
        assert len(re.sub(r"^#.*$", "", body, flags=re.MULTILINE).split()) >= 10, identity


@each
def test_the_fields_that_entries_quote_are_written(catalog):
    code = "".join(path.read_text() for path in catalog.room.rglob("*.swift"))
    # A field is written by its name, or handed to who writes it with its value.
    written = set(re.findall(r'(?:field\(|\()"([A-Z_]+)"', code))
    quoted = set(re.findall(r"MAILD_([A-Z_]+)", catalog.path.read_text()))
    assert quoted and quoted <= written, f"no event writes {sorted(quoted - written)}"


def test_journalctl_takes_the_catalogs(tmp_path):
    source = tmp_path / "usr/lib/systemd/catalog"
    source.mkdir(parents=True)
    for catalog in CATALOGS:
        (source / catalog.path.name).write_bytes(catalog.path.read_bytes())
    (tmp_path / "var/lib/systemd/catalog").mkdir(parents=True)
    root = f"--root={tmp_path}"
    made = subprocess.run(["journalctl", root, "--update-catalog"], capture_output=True, text=True, timeout=60)
    assert (made.returncode, made.stderr) == (0, "")
    shown = subprocess.run(["journalctl", root, "--list-catalog"], capture_output=True, text=True, timeout=60)
    ids = [identity for catalog in CATALOGS for identity in catalog.ids().values()]
    assert sorted(line.split()[0] for line in shown.stdout.splitlines()) == sorted(ids)
