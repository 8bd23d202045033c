# maild, the mail-job daemon
# SPDX-License-Identifier: Apache-2.0
"""docs/feeds.md is of one mind with the code."""

import re

from maild import ROOT

PAGE = (ROOT / "docs/feeds.md").read_text()
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


def test_every_metric_is_explained():
    names = {name + suffix for text in SOURCES for call, name, suffix in (
        [("gauge", name, "") for name in re.findall(r' gauge\("(\w+)"', text)]
        + [("counter", name, "_total") for name in re.findall(r' counter\("(\w+)"', text)])}
    assert len(names) > 10
    for name in names:
        assert f"maild_feed_{name}" in PAGE, name
