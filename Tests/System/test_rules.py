# maild, the mail-job daemon
# SPDX-License-Identifier: Apache-2.0
"""docs/rules.md tells the truth: each rule is cited where it is obeyed, and named by what tests it."""

import re

import pytest
from maild import ROOT

PAGE = ROOT / "docs/rules.md"
ROWS = [[cell.strip() for cell in line.strip("|").split("|")]
        for line in PAGE.read_text().splitlines() if re.match(r"\| \d", line)]


def test_there_are_rules():
    assert len(ROWS) > 30


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row[0]} {row[1][:40]}")
def test_a_rule_is_cited_and_tested_where_the_page_says(row):
    number, _, obeyed, tested = row
    for column in (obeyed, tested):
        files = re.findall(r"\]\(\.\./([^)]+)\)", column)
        assert files
        for file in files:
            assert re.search(rf"RFC ?{number}\b", (ROOT / file).read_text()), f"{file} does not name RFC {number}"
