# maild, the mail-job daemon
# SPDX-License-Identifier: Apache-2.0
"""What every test may ask for."""

import pytest
from maild import Maild
from postfix import Postfix
from smtp_judge import SMTPJudge


@pytest.fixture
def maild(tmp_path):
    """Makes maild processes: `maild(workers=2)` configures one, not yet started. All end with the test."""
    made = []

    def make(**settings):
        directory = tmp_path / f"maild-{len(made)}"
        directory.mkdir()
        made.append(Maild(directory, **settings))
        return made[-1]

    yield make
    for each in made:
        each.clean_up()
        print(f"--- the end of {each.log_path}:", *each.log().splitlines()[-60:], sep="\n")


@pytest.fixture
def running(maild):
    """A maild by hand that delivers into its Maildir."""
    return maild().start()


@pytest.fixture
def judge():
    """Makes SMTP servers of our own: `judge(pipelining=False)`."""
    made = []

    def make(**options):
        made.append(SMTPJudge(**options).start())
        return made[-1]

    yield make
    for each in made:
        each.stop()


@pytest.fixture
def postfix():
    server = Postfix()
    try:
        yield server.start()
    finally:
        server.stop()
