# maild, the mail-job daemon
# SPDX-License-Identifier: Apache-2.0
"""What every test may ask for."""

from contextlib import contextmanager

import pytest
from maild import Maild
from postfix import Postfix
from smtp_judge import SMTPJudge


@contextmanager
def makes_mailds(root):
    made = []

    def make(**settings):
        directory = root / f"maild-{len(made)}"
        directory.mkdir()
        made.append(Maild(directory, **settings))
        return made[-1]

    yield make
    for each in made:
        each.clean_up()
        print(f"--- the end of {each.log_path}:", *each.log().splitlines()[-60:], sep="\n")


@pytest.fixture
def maild(tmp_path):
    """Makes maild processes: `maild(workers=2)` configures one, not yet started. All end with the test."""
    with makes_mailds(tmp_path) as make:
        yield make


@pytest.fixture(scope="module")
def module_maild(tmp_path_factory):
    """The same, ending with the last test of the file."""
    with makes_mailds(tmp_path_factory.mktemp("module")) as make:
        yield make


@pytest.fixture
def running(maild):
    """A maild by hand that delivers into its Maildir."""
    return maild().start()


@contextmanager
def makes_judges():
    made = []

    def make(**options):
        made.append(SMTPJudge(**options).start())
        return made[-1]

    yield make
    for each in made:
        each.stop()


@pytest.fixture
def judge():
    """Makes SMTP servers of our own: `judge(pipelining=False)`."""
    with makes_judges() as make:
        yield make


@pytest.fixture(scope="module")
def module_judge():
    with makes_judges() as make:
        yield make


@pytest.fixture
def postfix():
    server = Postfix()
    try:
        yield server.start()
    finally:
        server.stop()
