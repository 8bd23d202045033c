# maild, the mail-job daemon
# SPDX-License-Identifier: Apache-2.0
"""maild-feed with a broker of Kafka's protocol: what it commits when, what goes to the dead letters, who dies how."""

import json
import random
import subprocess

import pytest
from feed import FEED, Feed, jobs_by_subject
from kafka_broker import KafkaBroker, library_path
from kafka_door import KafkaDoor
from submission import job
from waiting import until

TOPIC = "jobs"
ROUNDS = 6


def text(number, **fields):
    return json.dumps(job(subject=f"n{number}", ref=f"r{number}", **fields))


@pytest.fixture
def broker(tmp_path):
    (tmp_path / "broker").mkdir()
    broker = KafkaBroker(tmp_path / "broker").start()
    broker.make_topic(TOPIC)
    broker.make_topic(f"{TOPIC}.dead")
    broker.make_topic(f"{TOPIC}.outcomes")
    yield broker
    broker.clean_up()


@pytest.fixture
def feed(tmp_path, broker):
    """Makes feeds of the topic in front of a maild; not yet started. `settings` are added to the topic's."""
    made = []

    def make(maild, name="shop", settings=None, **others):
        # Tansu lets a member join after half of its session's time.
        table = {"brokers": broker.address, "topic": TOPIC, "session_timeout_seconds": 2} | (settings or {})
        made.append(Feed(tmp_path, maild, name, kafka=table, **others))
        made[-1].environment = {"LD_LIBRARY_PATH": library_path(tmp_path / "library")}
        return made[-1]

    yield make
    for each in made:
        each.clean_up()
        print(f"--- the end of {each.log_path}:", *each.log().splitlines()[-40:], sep="\n")


def test_jobs_arrive_and_their_offsets_are_committed(running, broker, feed):
    feed = feed(running).start()
    broker.add(TOPIC, [text(number) for number in range(50)])
    feed.wait_for("acknowledged_total", 50)
    broker.wait_for_commits(TOPIC, {0: 50})
    until(lambda: len(jobs_by_subject(running)) == 50, "all mails are there")
    assert set(jobs_by_subject(running)) == {f"n{number}" for number in range(50)}
    feed.wait_for("connected", 1)
    until(lambda: feed.metrics()["maild_feed_lag_messages"].get("") == 0, "the lag is none")
    assert feed.number("consumed_total") == 50
    assert feed.stop() == 0


def test_a_bad_message_goes_to_the_dead_letters_and_the_next_go_on(running, broker, feed):
    feed = feed(running).start()
    bad = ['{"to":"nobody"', text(1, to="a@"), text(2, type="fax"), "[]"]
    broker.add(TOPIC, [*bad, text(3)])
    feed.wait_for("dead_letters_total", 4)
    feed.wait_for("accepted_total", 1)
    broker.wait_for_commits(TOPIC, {0: 5})
    letters = broker.entries(f"{TOPIC}.dead", 4)
    errors = ["parse_error", "invalid_job", "unknown_type", "parse_error"]
    assert sorted((body, headers["error"]) for body, headers in letters) == sorted(zip(bad, errors))
    refused = next(headers for body, headers in letters if headers["error"] == "invalid_job")
    assert (refused["field"], refused["source"]) == ("to", f"{TOPIC}/0/1")


def test_a_feed_begins_again_where_it_has_committed(running, broker, feed):
    feed = feed(running).start()
    broker.add(TOPIC, [text(number) for number in range(30)])
    feed.wait_for("acknowledged_total", 30)
    assert feed.stop() == 0
    assert broker.committed(TOPIC) == {0: 30}
    broker.add(TOPIC, [text(number) for number in range(30, 40)])
    feed.start()
    feed.wait_for("acknowledged_total", 10)
    broker.wait_for_commits(TOPIC, {0: 40})
    assert feed.number("consumed_total") == 10
    assert feed.number("duplicates_total") == 0


def test_while_maild_is_away_nothing_is_committed(maild, broker, feed):
    target = maild()
    feed = feed(target).start()
    broker.add(TOPIC, [text(number) for number in range(20)])
    feed.wait_for("consumed_total", 20)
    assert broker.committed(TOPIC) == {}
    target.start()
    broker.wait_for_commits(TOPIC, {0: 20})
    until(lambda: len(jobs_by_subject(target)) == 20, "all mails are there")


def test_settled_means_after_the_outcome(maild, broker, feed):
    target = maild().start()
    feed = feed(target, ack="settled", outcomes={"topic": f"{TOPIC}.outcomes"}).start()
    target.control.call("Pause")
    broker.add(TOPIC, [text(1, tags=["shop"]), text(2)])
    feed.wait_for("accepted_total", 2)
    until(lambda: feed.number("unsettled") == 2, "both wait for their end")
    assert broker.committed(TOPIC) == {}
    target.control.call("Resume")
    broker.wait_for_commits(TOPIC, {0: 2})
    ends = [json.loads(body) for body, _ in broker.entries(f"{TOPIC}.outcomes", 2)]
    assert sorted((end["event"], end["ref"]) for end in ends) == [("delivered", "r1"), ("delivered", "r2")]


def test_a_window_that_stays_full_rests_the_partition_and_loses_nothing(maild, broker, feed):
    target = maild().start()
    target.control.call("Pause")
    feed = feed(target, ack="settled", window=10).start()
    broker.add(TOPIC, [text(number) for number in range(200)])
    feed.wait_for("accepted_total", 10)
    # Longer than the second after which partitions rest: the statistics that tell the lag come each second.
    until(lambda: feed.metrics()["maild_feed_lag_messages"].get("") == 190, "the rest lies upstream")
    target.control.call("Resume")
    broker.wait_for_commits(TOPIC, {0: 200}, seconds=60)
    until(lambda: len(jobs_by_subject(target)) == 200, "all mails are there", 60)
    assert {len(jobs) for jobs in jobs_by_subject(target).values()} == {1}


def test_a_broker_that_is_away_is_waited_for(running, broker, feed):
    broker.kill()
    feed = feed(running).start()
    feed.wait_for_log("cannot connect to .*refused")
    assert feed.number("connected") == 0
    broker.start()
    broker.make_topic(TOPIC)
    broker.add(TOPIC, [text(1)])
    feed.wait_for("connected", 1, seconds=40)
    feed.wait_for("acknowledged_total", 1, seconds=40)
    assert feed.is_alive()


@pytest.mark.parametrize("ack", ["accepted", "settled"])
def test_nothing_is_lost_or_mailed_twice_whoever_dies(maild, broker, feed, ack):
    """Feed and maild are killed at random under load; the broker keeps all in memory and must live."""
    chance = random.Random(ack)
    target = maild(workers=4).start()
    feed = feed(target, ack=ack).start()
    count = 0
    for _ in range(ROUNDS):
        before = feed.number("consumed_total")
        broker.add(TOPIC, [text(number) for number in range(count, count + 300)])
        count += 300
        feed.wait_for("consumed_total", before + chance.choice((1, 100, 250)), seconds=40)
        victim = chance.choice((feed, target))
        victim.kill()
        victim.start()
    broker.wait_for_commits(TOPIC, {0: count}, seconds=90)
    target.wait_for_counts(ready=0, running=0, scheduled=0, seconds=60)
    found = jobs_by_subject(target)
    assert not {f"n{number}" for number in range(count)} - set(found), "lost"
    assert {subject: jobs for subject, jobs in found.items() if len(jobs) > 1} == {}, "mailed twice"
    assert feed.number("dead_letters_total") == 0


def test_tls_and_a_login(running, tmp_path, feed):
    """The broker of these tests has neither; a door before it has both."""
    door = KafkaDoor(tmp_path, login=("shop", "s3cret"))
    (tmp_path / "behind").mkdir()
    broker = KafkaBroker(tmp_path / "behind", advertised=door.address).start()
    password = tmp_path / "password"
    password.write_text("s3cret\n")
    password.chmod(0o600)
    access = {"brokers": door.address, "tls": True, "user": "shop", "password_file": str(password)}
    trusting = access | {"tls_roots": str(door.certificate)}
    try:
        door.open(broker.port)
        stranger = feed(running, "stranger", settings=access).start()
        stranger.wait_for_log("cannot connect to .*certificate")
        assert stranger.stop() == 0 and door.logins == []
        password.write_text("wrong\n")
        liar = feed(running, "liar", settings=trusting).start()
        liar.wait_for_log("cannot connect to .*wrong user or password")
        assert liar.stop() == 0 and set(door.logins) == {("shop", "wrong")}
        password.write_text("s3cret\n")
        one = feed(running, settings=trusting).start()
        broker.access = {
            "bootstrap.servers": door.address, "security.protocol": "sasl_ssl", "sasl.mechanism": "PLAIN",
            "sasl.username": "shop", "sasl.password": "s3cret", "ssl.ca.location": str(door.certificate)}
        broker.make_topic(TOPIC)
        broker.add(TOPIC, [text(1)])
        one.wait_for("acknowledged_total", 1, seconds=40)
        assert ("shop", "s3cret") in door.logins
    finally:
        door.close()
        broker.clean_up()


def test_a_mistake_in_the_file_ends_it_with_78(running, feed):
    feed = feed(running, settings={"tpoic": "x"})
    done = subprocess.run(
        [FEED, "shop", "--check-config", "--config", str(feed.configuration_path)], text=True, capture_output=True)
    assert done.returncode == 78 and "kafka.tpoic: is unknown; did you mean topic?" in done.stderr
