# maild, the mail-job daemon
# SPDX-License-Identifier: Apache-2.0
"""docs/feeds.md is of one mind with the code."""

import re

from maild import ROOT

PAGE = (ROOT / "docs/feeds.md").read_text()
MANUAL = (ROOT / "man/feed/maild-feed.toml.5").read_text()
SOURCES = [path.read_text() for path in (ROOT / "Sources").glob("*Feed*/**/*.swift")]


def lists(name):
    """What stands in the arrays of strings of this name, over all kinds."""
    found = [re.findall(r'"([a-z_]+)"', body) for text in SOURCES
             for body in re.findall(rf"static let {name}(?:: \[String\])? =\s*\[(.*?)\]", text, re.DOTALL)]
    assert found, name
    return {key for keys in found for key in keys}


def test_every_key_is_explained():
    for key in lists("keys") | lists("outcomeKeys") | lists("top"):
        assert f"`{key}`" in PAGE, key
    for key in lists("maild"):
        assert f"`maild.{key}`" in PAGE, key


def tables():
    """{table: [key]} as the code has them."""
    found = {"": lists("top"), "maild": lists("maild"), "outcomes": lists("outcomeKeys")}
    for text in SOURCES:
        for name in re.findall(r'static let type = "(\w+)"', text):
            body = re.search(r"static let keys =(.*?)static let", text, re.DOTALL).group(1)
            found[name] = set(re.findall(r'"([a-z_]+)"', body))
    access = next(text for text in SOURCES if "struct BrokerAccess" in text)
    found["every broker"] = set(re.findall(r'"([a-z_]+)"', re.search(r"keys = \[(.*?)\]", access, re.DOTALL).group(1)))
    return found


def test_the_manual_has_the_keys_of_every_table_and_no_other():
    parts = re.split(r"^\.Sh (.*)\n", MANUAL, flags=re.MULTILINE)
    sections = {heading.strip("[]"): text for heading, text in zip(parts[1::2], parts[2::2])}
    headings = {"": "BEFORE THE FIRST TABLE", "every broker": "KEYS OF EVERY BROKER"}
    code = tables()
    assert set(code) >= {"redis", "rabbitmq", "kafka"} and all(code.values())
    for table, keys in code.items():
        items = re.findall(r"^\.It Ic (.*)$", sections[headings.get(table, table)], re.MULTILINE)
        assert set(re.findall(r"[a-z][a-z0-9_]+", " ".join(items))) == keys, table


def test_every_metric_is_explained():
    names = {name + suffix for text in SOURCES for call, name, suffix in (
        [("gauge", name, "") for name in re.findall(r' gauge\("(\w+)"', text)]
        + [("counter", name, "_total") for name in re.findall(r' counter\("(\w+)"', text)])}
    assert len(names) > 10
    for name in names:
        assert f"maild_feed_{name}" in PAGE, name
