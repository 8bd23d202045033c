# maild, the mail-job daemon
# SPDX-License-Identifier: Apache-2.0
"""A maild that takes no jobs for the moment, before each kind of broker: the feed waits, loses nothing and buries
nothing, and says so."""

import json

import pytest
from feed import Feed, jobs_by_subject
from feed_brokers import SIDES
from submission import job
from waiting import until


@pytest.fixture(scope="module", params=SIDES)
def side(request, tmp_path_factory):
    """One broker for both tests of a kind; the second finds an empty queue."""
    side = SIDES[request.param](tmp_path_factory.mktemp(request.param))
    yield side
    side.close()


@pytest.fixture
def feed(tmp_path, side):
    made = []

    def make(maild, **settings):
        made.append(Feed(tmp_path, maild, **side.table, **settings))
        made[-1].environment = side.environment
        return made[-1].start()

    yield make
    for each in made:
        each.clean_up()
        print(f"--- the end of {each.log_path}:", *each.log().splitlines()[-40:], sep="\n")


def check(target, feed, count):
    feed.wait_for("acknowledged_total", count, seconds=60)
    until(lambda: feed.log().count("maild says ") == feed.log().count("maild takes jobs again") > 0,
          "the end of each outage is told, and each but once")
    until(lambda: len(jobs_by_subject(target)) == count, "all mails are there", 60)
    assert {len(jobs) for jobs in jobs_by_subject(target).values()} == {1}
    assert feed.number("dead_letters_total") == 0 and feed.number("paused") == 0
    # What it has not told the broker yet would come to the next test's feed.
    assert feed.stop() == 0


def test_queue_full(maild, side, feed):
    target = maild(spool={"jobs_max": 5}).start()
    target.control.call("Pause")
    feed = feed(target)
    side.add([json.dumps(job(subject=f"n{number}")) for number in range(30)])
    feed.wait_for("accepted_total", 5, seconds=60)
    feed.wait_for("pauses_total", 2)
    feed.wait_for_log("maild says queue_full")
    assert "paused: queue_full" in feed.notices.wait_for("paused")
    assert feed.number("acknowledged_total") == 5
    target.control.call("Resume")
    check(target, feed, 30)


def test_read_only(maild, side, feed):
    """A disk of which maild wants more to be free than there is."""
    target = maild(spool={"free_bytes_min": 1 << 50}).start()
    feed = feed(target)
    side.add([json.dumps(job(subject=f"n{number}")) for number in range(30)])
    feed.wait_for("pauses_total", 2, seconds=60)
    feed.wait_for_log("maild says read_only")
    assert feed.number("acknowledged_total") == feed.number("accepted_total") == 0
    target.configure(spool={"free_bytes_min": 0})
    target.control.call("Reload")
    check(target, feed, 30)
