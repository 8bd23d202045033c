# maild, the mail-job daemon
# SPDX-License-Identifier: Apache-2.0
"""maild-feed with a real redis-server: what it acknowledges when, what goes to the dead letters, who dies how."""

import json
import random
import signal
import subprocess
import threading

import pytest
from control import Control
from feed import FEED, Feed, jobs_by_subject
from redis_server import RedisServer
from submission import job
from waiting import until

STREAM = "jobs"
ROUNDS = 8


def text(number, **fields):
    return json.dumps(job(subject=f"n{number}", ref=f"r{number}", **fields))


@pytest.fixture
def redis(tmp_path):
    (tmp_path / "redis").mkdir()
    server = RedisServer(tmp_path / "redis").start()
    yield server
    server.clean_up()


@pytest.fixture
def feed(tmp_path, redis):
    """Makes feeds of the stream in front of a maild; not yet started. `redis` settings are added to the stream's."""
    made = []

    def make(maild, name="shop", settings=None, **others):
        table = {"server": f"127.0.0.1:{redis.port}", "stream": STREAM} | (settings or {})
        made.append(Feed(tmp_path, maild, name, redis=table, **others))
        return made[-1]

    yield make
    for each in made:
        each.clean_up()
        print(f"--- the end of {each.log_path}:", *each.log().splitlines()[-40:], sep="\n")


def add(client, *bodies):
    return client.many([("XADD", STREAM, "*", "job", body) for body in bodies])


def wait_until_acknowledged(client, feed=None):
    """By the group's own account: its last entry is the stream's, and none is pending. Its lag may be unknown."""
    def told():
        group = client("XINFO", "GROUPS", STREAM)[0]
        entries = client("XREVRANGE", STREAM, "+", "-", "COUNT", 1)
        return group[7] == entries[0][0] and client.pending(STREAM) == 0
    try:
        until(told, "all entries are acknowledged")
    except AssertionError:
        print("pending:", client("XPENDING", STREAM, "maild"), "group:", client("XINFO", "GROUPS", STREAM))
        if feed:
            print("the feed:", {name: value for name, value in feed.metrics().items() if "feed" in name})
        raise


def test_jobs_arrive_and_are_acknowledged(running, redis, feed):
    feed = feed(running).start()
    with redis.client() as client:
        add(client, *(text(number) for number in range(50)))
        feed.wait_for("acknowledged_total", 50)
        assert client.pending(STREAM) == 0
    until(lambda: len(jobs_by_subject(running)) == 50, "all mails are there")
    assert set(jobs_by_subject(running)) == {f"n{number}" for number in range(50)}
    assert feed.number("consumed_total") == 50
    assert feed.number("connected") == feed.number("maild_connected") == 1
    assert feed.stop() == 0


def test_what_maild_refuses_goes_to_the_dead_letters_with_the_reason(running, redis, feed):
    feed = feed(running).start()
    with redis.client() as client:
        bad = ['{"to":"nobody"', text(1, to="a@"), text(2, type="fax"), "[]"]
        add(client, *bad, text(3))
        feed.wait_for("dead_letters_total", 4)
        feed.wait_for("accepted_total", 1)
        wait_until_acknowledged(client)
        letters = client.entries(f"{STREAM}:dead")
    # What is no JSON at all is known before maild has answered.
    errors = ["parse_error", "invalid_job", "unknown_type", "parse_error"]
    assert sorted((letter["job"], letter["error"]) for letter in letters) == sorted(zip(bad, errors))
    assert next(letter["field"] for letter in letters if letter["error"] == "invalid_job") == "to"
    assert feed.number("rejected_total", "parse_error") == 2


def test_a_job_of_several_lines_and_one_with_its_own_key(running, redis, feed):
    feed = feed(running).start()
    with redis.client() as client:
        pretty = json.dumps(job(subject="pretty", wait="settled"), indent=2)
        own = text(7, idempotency_key="order-7")
        add(client, pretty, own, own)
        feed.wait_for("acknowledged_total", 3)
    assert feed.number("duplicates_total") == 1
    until(lambda: len(jobs_by_subject(running)) == 2, "both mails are there")
    assert {len(jobs) for jobs in jobs_by_subject(running).values()} == {1}


def test_while_maild_is_away_nothing_is_acknowledged(maild, redis, feed):
    target = maild()
    feed = feed(target, settings={"claim_idle_seconds": 1}).start()
    with redis.client() as client:
        add(client, *(text(number) for number in range(20)))
        feed.wait_for("consumed_total", 20)
        assert client.pending(STREAM) == 20
        assert "maild is away" in feed.notices.wait_for("STATUS=connected")
        target.start()
        feed.wait_for("acknowledged_total", 20)
        wait_until_acknowledged(client)
    until(lambda: len(jobs_by_subject(target)) == 20, "all mails are there")


def test_a_full_queue_pauses_the_feed_and_loses_nothing(maild, redis, feed):
    target = maild(spool={"jobs_max": 5}).start()
    target.control.call("Pause")
    feed = feed(target).start()
    with redis.client() as client:
        add(client, *(text(number) for number in range(30)))
        feed.wait_for("accepted_total", 5)
        feed.wait_for("pauses_total", 1)
        assert feed.number("paused") == 1
        assert feed.number("dead_letters_total") == 0
        target.control.call("Resume")
        feed.wait_for("acknowledged_total", 30, seconds=60)
        feed.wait_for_log("maild takes jobs again")
        wait_until_acknowledged(client)
    until(lambda: len(jobs_by_subject(target)) == 30, "all mails are there")


def test_settled_means_after_the_outcome(maild, redis, feed):
    target = maild().start()
    feed = feed(target, ack="settled", outcomes={"stream": "ends"}).start()
    with redis.client() as client:
        target.control.call("Pause")
        add(client, text(1, tags=["shop"]), text(2))
        feed.wait_for("accepted_total", 2)
        until(lambda: feed.number("unsettled") == 2, "both wait for their end")
        assert client.pending(STREAM) == 2
        target.control.call("Resume")
        feed.wait_for("acknowledged_total", 2)
        wait_until_acknowledged(client)
        ends = [json.loads(entry["outcome"]) for entry in client.entries("ends")]
    assert sorted((end["event"], end["ref"]) for end in ends) == [("delivered", "r1"), ("delivered", "r2")]
    assert next(end for end in ends if end["ref"] == "r1")["tags"] == ["shop"]
    assert all(target.show(end["job"])["job"]["state"] == "delivered" for end in ends)


def test_every_end_is_told_even_if_the_feed_or_maild_was_away_meanwhile(maild, redis, feed):
    target = maild().start()
    feed = feed(target, ack="settled", outcomes={"entries_max": 1000}).start()
    with redis.client() as client:
        target.control.call("Pause")
        add(client, *(text(number) for number in range(9)), text(9, expires_at="2026-01-01T00:00:00Z"))
        feed.wait_for("accepted_total", 9)
        feed.wait_for("dead_letters_total", 1)
        jobs = [found["id"] for found in target.control.call("List")["jobs"]]
        feed.kill()
        # While nobody looks: some are sent, one is cancelled.
        target.control.call("Cancel", ids=jobs[:1])
        target.control.call("Resume")
        target.wait_for_counts(ready=0, running=0)
        target.kill()
        target.start()
        feed.start()
        feed.wait_for("outcomes_published_total", 9)
        wait_until_acknowledged(client)
        ends = [json.loads(entry["outcome"]) for entry in client.entries(f"{STREAM}:outcomes")]
    assert {end["job"] for end in ends} == set(jobs)
    assert {end["event"] for end in ends} == {"delivered", "cancelled"}
    assert feed.number("duplicates_total") == 9


def test_an_end_during_a_restart_of_maild_is_asked_for(maild, redis, feed):
    target = maild().start()
    feed = feed(target, ack="settled").start()
    with redis.client() as client:
        target.control.call("Pause")
        add(client, *(text(number) for number in range(5)))
        feed.wait_for("accepted_total", 5)
        target.kill()
        target.start()
        target.control.call("Resume")
        feed.wait_for("acknowledged_total", 5)
        wait_until_acknowledged(client)
    assert sum(feed.number("settled_total", state) for state in ("delivered",)) == 5


def test_what_a_dead_consumer_left_is_taken_over(running, redis, feed):
    with redis.client() as client:
        client("XGROUP", "CREATE", STREAM, "maild", "0", "MKSTREAM")
        add(client, *(text(number) for number in range(10)))
        client("XREADGROUP", "GROUP", "maild", "gone", "COUNT", 10, "STREAMS", STREAM, ">")
        assert client.pending(STREAM) == 10
        feed = feed(running, settings={"claim_idle_seconds": 1}).start()
        feed.wait_for("acknowledged_total", 10)
        assert feed.number("redelivered_total") == 10
        wait_until_acknowledged(client)


def test_a_living_consumer_keeps_what_it_waits_for(maild, redis, feed):
    first, second = maild().start(), maild().start()
    for target in (first, second):
        target.control.call("Pause")
    settings = {"claim_idle_seconds": 1}
    one = feed(first, "one", ack="settled", settings=settings).start()
    with redis.client() as client:
        add(client, *(text(number) for number in range(10)))
        one.wait_for("accepted_total", 10)
        two = feed(second, "two", ack="settled", settings=settings).start()
        seen = client("XPENDING", STREAM, "maild")[3]

        def wait_for_renewals():
            """Until the entries are younger than they were: their holder has said that it lives, several times."""
            ages = [entry[2] for entry in client("XPENDING", STREAM, "maild", "-", "+", 10)]
            wait_for_renewals.young += min(ages) < wait_for_renewals.last
            wait_for_renewals.last = min(ages)
            return wait_for_renewals.young >= 5
        wait_for_renewals.young, wait_for_renewals.last = 0, 0
        until(wait_for_renewals, "the holder renews its hold")
        assert client("XPENDING", STREAM, "maild")[3] == seen
        assert two.number("consumed_total") == 0
        first.control.call("Resume")
        one.wait_for("acknowledged_total", 10)


@pytest.mark.parametrize("ack", ["accepted", "settled"])
def test_nothing_is_lost_or_mailed_twice_whoever_dies(maild, redis, feed, ack):
    """Feed, broker and maild are killed at random under load."""
    chance = random.Random(ack)
    target = maild(workers=4).start()
    feed = feed(target, ack=ack, settings={"claim_idle_seconds": 2}).start()
    sent, ended = [], threading.Event()

    def load():
        number = 0
        while not ended.is_set():
            try:
                with redis.client() as client:
                    while not ended.is_set():
                        batch = range(number, number + chance.choice((1, 10, 50)))
                        number = batch.stop
                        add(client, *(text(each) for each in batch))
                        sent.extend(batch)
                        ended.wait(0.02)
            except (OSError, RuntimeError):
                ended.wait(0.02)

    thread = threading.Thread(target=load)
    thread.start()
    try:
        for _ in range(ROUNDS):
            count = len(sent)
            until(lambda: len(sent) > count + chance.choice((50, 150)), "jobs are sent")
            victim = chance.choice((feed, redis, target))
            victim.kill()
            victim.start()
    finally:
        ended.set()
        thread.join()
    with redis.client() as client:
        wait_until_acknowledged(client, feed)
        # Redis 7.0 itself may forget what it has confirmed, where it is killed twice: it cuts its log in the midst of a
        # transaction, goes on behind that, and takes all of it back at the next start.
        kept = {json.loads(entry["job"])["subject"] for entry in client.entries(STREAM)}
    assert len(kept) > ROUNDS
    target.wait_for_counts(ready=0, running=0, scheduled=0, seconds=60)
    found = jobs_by_subject(target)
    assert not kept - set(found), "lost"
    assert {subject: jobs for subject, jobs in found.items() if len(jobs) > 1} == {}, "mailed twice"
    assert feed.number("dead_letters_total") == 0


def test_tls_and_a_login(running, tmp_path, feed):
    names = {"roots": "ca.pem", "certificate": "server.pem", "key": "server.key"}
    (tmp_path / "tls").mkdir()
    tls = {name: str(tmp_path / "tls" / file) for name, file in names.items()}
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
         "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1", "-keyout", tls["key"],
         "-out", tls["certificate"]], check=True, capture_output=True)
    tls["roots"] = tls["certificate"]
    password = tmp_path / "password"
    password.write_text("s3cret\n")
    password.chmod(0o600)
    server = RedisServer(tmp_path / "tls", "--user", "shop", "on", ">s3cret", "~*", "+@all", tls=tls).start()
    try:
        access = {"server": f"localhost:{server.port}", "tls": True, "user": "shop", "password_file": str(password)}
        stranger = feed(running, "stranger", settings=access).start()
        stranger.wait_for_log("cannot connect to .*certificate verify failed")
        stranger.stop()
        feed = feed(running, settings=access | {"tls_roots": tls["roots"]}).start()
        feed.wait_for("connected", 1)
        password.write_text("wrong\n")
        other = Feed(tmp_path, running, "other", redis={
            "stream": STREAM, **access, "tls_roots": tls["roots"]}).start()
        other.wait_for_log("WRONGPASS")
        other.clean_up()
        feed.notices.wait_for("STATUS=connected")
    finally:
        server.clean_up()


def test_a_stopped_feed_has_acknowledged_all_that_was_answered(running, redis, feed):
    feed = feed(running).start()
    with redis.client() as client:
        add(client, *(text(number) for number in range(500)))
        feed.wait_for("consumed_total", 1)
        assert feed.stop() == 0
        feed.notices.wait_for("STOPPING=1")
        left = 500 - client("XINFO", "GROUPS", STREAM)[0][9] + client.pending(STREAM)
        feed.start()
        wait_until_acknowledged(client)
        assert feed.number("duplicates_total") <= left
    until(lambda: len(jobs_by_subject(running)) == 500, "all mails are there", 60)


def test_the_status_socket_tells_how_it_fares(running, redis, feed):
    feed = feed(running).start()
    with redis.client() as client:
        add(client, text(1))
    feed.wait_for("acknowledged_total", 1)
    status = Control(feed.status_path).call("io.maild.Feed.Status")
    assert (status["feed"], status["kind"], status["connected"]) == ("shop", "redis", True)
    assert (status["accepted"], status["ack"]) == (1, "accepted")


def test_mailctl_shows_the_feeds(running, redis, feed, tmp_path):
    assert running.mailctl("feeds", "--feeds", str(tmp_path / "nowhere")).stdout == ""
    one = feed(running).start()
    with redis.client() as client:
        add(client, text(1), "{")
        one.wait_for("acknowledged_total", 2)
    dead = feed(running, "dead").start()
    dead.kill()
    shown = running.mailctl("feeds", "--feeds", str(one.run_directory))
    assert shown.returncode == 0, shown.stderr
    lines = [line.split() for line in shown.stdout.splitlines()]
    assert lines[0][:4] == ["FEED", "KIND", "STATE", "ACK"]
    assert lines[1][:3] == ["dead", "?", "silent"]
    assert lines[2][:4] == ["shop", "redis", "connected", "accepted"] and lines[2][-5:] == ["2", "1", "1", "0", "0"]
    document = json.loads(running.mailctl("feeds", "--feeds", str(one.run_directory), "--json").stdout)
    assert [each["feed"] for each in document["feeds"]] == ["dead", "shop"]
    assert document["feeds"][1]["subject"] == f"stream {STREAM} at 127.0.0.1:{redis.port}"


def test_a_mistake_in_the_file_ends_it_with_78(running, feed):
    feed = feed(running, settings={"steam": "x"})
    feed.spawn()
    assert feed.process.wait(20) == 78
    assert "redis.steam: is unknown; did you mean stream?" in feed.log()
    done = subprocess.run(
        [FEED, "shop", "--check-config", "--config", str(feed.configuration_path)], text=True, capture_output=True)
    assert done.returncode == 78 and "did you mean stream?" in done.stderr


def test_the_watchdog_hears_of_it(running, redis, feed):
    feed = feed(running)
    feed.environment = {"WATCHDOG_USEC": "400000"}
    feed.start()
    for _ in range(3):
        feed.notices.wait_for("WATCHDOG=1")
    feed.process.send_signal(signal.SIGSTOP)
    feed.process.send_signal(signal.SIGCONT)
    assert feed.stop() == 0
