# maild, the mail-job daemon
# SPDX-License-Identifier: Apache-2.0
"""Feeds of one group before a cluster that keeps what it has while it is away: partitions change hands, brokers go and
come, consumers are fenced. With the librdkafka of the tests, and with the system's own."""

import json
import random
import threading

import pytest
from feed import Feed, jobs_by_subject
from kafka_broker import library_path
from kafka_cluster import FENCED_INSTANCE_ID, HEARTBEAT, KafkaCluster
from submission import job
from waiting import until

TOPIC = "jobs"
PARTITIONS = 4
ROUNDS = 8


def text(number, **fields):
    return json.dumps(job(subject=f"n{number}", ref=f"r{number}", **fields))


@pytest.fixture
def cluster():
    cluster = KafkaCluster()
    cluster.make_topic(TOPIC, PARTITIONS)
    cluster.make_topic(f"{TOPIC}.dead")
    cluster.make_topic(f"{TOPIC}.outcomes")
    yield cluster
    cluster.clean_up()


@pytest.fixture(params=["the wheel's library", "the system's library"])
def environment(request, tmp_path):
    wheel = request.param.startswith("the wheel")
    return {"LD_LIBRARY_PATH": library_path(tmp_path / "library")} if wheel else {}


@pytest.fixture
def feed(tmp_path, cluster, environment):
    made = []

    def make(maild, name="one", settings=None, **others):
        table = {"brokers": cluster.address, "topic": TOPIC, "session_timeout_seconds": 2} | (settings or {})
        made.append(Feed(tmp_path, maild, name, kafka=table, **others))
        made[-1].environment = environment
        return made[-1]

    yield make
    for each in made:
        each.clean_up()
        print(f"--- the end of {each.log_path}:", *each.log().splitlines()[-40:], sep="\n")


class Load:
    """Adds jobs to all partitions until it is told to end. `sent`: by partition, the numbers that the cluster has."""

    def __init__(self, cluster, pause=0.02):
        self.cluster, self.pause = cluster, pause
        self.sent = {partition: [] for partition in range(PARTITIONS)}
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._work)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._ended.set()
        self._thread.join()

    @property
    def count(self):
        return sum(map(len, self.sent.values()))

    def wait_for_more(self, count):
        wanted = self.count + count
        until(lambda: self.count >= wanted, f"{count} more jobs are sent", 60)

    def _work(self):
        number = 0
        while not self._ended.is_set():
            for partition, sent in self.sent.items():
                batch = range(number, number + 10)
                number += 10
                self.cluster.add(TOPIC, [text(each) for each in batch], partition)
                sent.extend(batch)
            self._ended.wait(self.pause)


def check(cluster, load, target):
    """All that was sent is committed, and mailed once."""
    ends = {partition: len(sent) for partition, sent in load.sent.items()}
    cluster.wait_for_commits(TOPIC, ends, seconds=90)
    target.wait_for_counts(ready=0, running=0, scheduled=0, seconds=90)
    found = jobs_by_subject(target)
    assert not {f"n{number}" for sent in load.sent.values() for number in sent} - set(found), "lost"
    assert {subject: jobs for subject, jobs in found.items() if len(jobs) > 1} == {}, "mailed twice"


@pytest.mark.parametrize("ack", ["accepted", "settled"])
def test_partitions_go_from_feed_to_feed(maild, cluster, feed, ack):
    """One joins, is killed, comes back, leaves: each time partitions move, under load."""
    target = maild(workers=4).start()
    one, two = feed(target, "one", ack=ack).start(), feed(target, "two", ack=ack)
    with Load(cluster) as load:
        one.wait_for("accepted_total", 40)
        two.start()
        two.wait_for("accepted_total", 40, seconds=60)
        one.wait_for("accepted_total", one.number("accepted_total") + 40, seconds=60)
        two.kill()
        load.wait_for_more(200)
        two.start()
        two.wait_for("accepted_total", 40, seconds=60)
        assert one.stop() == 0
        load.wait_for_more(100)
        two.wait_for("accepted_total", two.number("accepted_total") + 100, seconds=60)
    check(cluster, load, target)
    assert two.number("dead_letters_total") == 0


def test_brokers_that_come_back_with_all_they_had_are_read_on(maild, cluster, feed):
    target = maild(workers=4).start()
    feed = feed(target, settings={"session_timeout_seconds": 6}).start()
    with Load(cluster) as load:
        for _ in range(3):
            before = feed.number("accepted_total")
            feed.wait_for("accepted_total", before + 80, seconds=60)
            cluster.down()
            until(lambda: feed.number("connected") == 0 or feed.number("disconnects_total"), "the feed sees it", 60)
            cluster.up()
            feed.wait_for("accepted_total", feed.number("accepted_total") + 40, seconds=60)
    check(cluster, load, target)
    assert feed.is_alive()


def test_a_consumer_that_was_fenced_is_made_anew(maild, cluster, feed):
    """librdkafka calls that fatal: the instance will never work again."""
    target = maild().start()
    feed = feed(target).start()
    with Load(cluster) as load:
        feed.wait_for("accepted_total", 40)
        feed.wait_for("connected", 1)
        cluster.fail(HEARTBEAT, FENCED_INSTANCE_ID)
        feed.wait_for_log("lost topic jobs .*fenced")
        feed.wait_for("connected", 1, seconds=60)
        feed.wait_for("accepted_total", feed.number("accepted_total") + 100, seconds=60)
    check(cluster, load, target)
    assert feed.stop() == 0


def test_a_stop_amid_a_batch_commits_what_was_answered(maild, cluster, feed):
    target = maild().start()
    target.control.call("Pause")
    feed = feed(target).start()
    cluster.add(TOPIC, [text(number) for number in range(3000)])
    feed.wait_for("consumed_total", 1)
    assert feed.stop() == 0
    assert "warning" not in feed.log()
    assert cluster.committed(TOPIC).get(0, 0) == target.counts()["ready"]
    target.control.call("Resume")
    feed.start()
    cluster.wait_for_commits(TOPIC, {0: 3000}, seconds=60)
    assert feed.number("duplicates_total") == 0
    until(lambda: len(jobs_by_subject(target)) == 3000, "all mails are there", 60)


def test_the_lag_is_that_of_all_our_partitions(maild, cluster, feed):
    target = maild().start()
    target.control.call("Pause")
    feed = feed(target, ack="settled", window=10).start()
    for partition in range(PARTITIONS):
        cluster.add(TOPIC, [text(100 * partition + number) for number in range(25)], partition)
    feed.wait_for("accepted_total", 10)
    until(lambda: feed.number("lag_messages") == 90, f"ninety are upstream, not {feed.number('lag_messages')}")
    target.control.call("Resume")
    until(lambda: feed.number("lag_messages") == 0, "none is")


@pytest.mark.parametrize("ack", ["accepted", "settled"])
def test_nothing_is_lost_or_mailed_twice_whoever_dies(maild, cluster, feed, ack):
    """Two feeds, maild and the brokers, at random under load."""
    chance = random.Random(ack)
    target = maild(workers=4).start()
    feeds = [feed(target, name, ack=ack).start() for name in ("one", "two")]
    with Load(cluster, 0.05) as load:
        for _ in range(ROUNDS):
            load.wait_for_more(chance.choice((40, 120)))
            victim = chance.choice((*feeds, target, cluster))
            if victim is cluster:
                cluster.down()
                cluster.up()
            else:
                victim.kill()
                victim.start()
    check(cluster, load, target)
    assert [each.number("dead_letters_total") for each in feeds] == [0, 0]
