# maild, the mail-job daemon
# SPDX-License-Identifier: Apache-2.0
"""maild-feed with a real rabbitmq-server."""

import json
import random
import subprocess
import threading

import pika
import pytest
from feed import Feed, jobs_by_subject
from rabbitmq_server import RabbitMQServer, quorum_queue, taken
from submission import job
from waiting import until

QUEUE = "mail"
ROUNDS = 6


def text(number, **fields):
    return json.dumps(job(subject=f"n{number}", ref=f"r{number}", **fields))


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    """One server for the tests that do not kill it: it takes seconds to start."""
    directory = tmp_path_factory.mktemp("rabbitmq")
    tls = {name: str(directory / file) for name, file in
           {"certificate": "server.pem", "roots": "server.pem", "key": "server.key"}.items()}
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
         "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost", "-keyout", tls["key"], "-out",
         tls["certificate"]], check=True, capture_output=True)
    server = RabbitMQServer(directory, tls).start()
    yield server
    server.clean_up()


@pytest.fixture
def channel(shared):
    """A channel with confirms; the queues of the test before are gone."""
    connection = shared.client()
    channel = connection.channel()
    for name in (QUEUE, f"{QUEUE}.dead", f"{QUEUE}.outcomes"):
        channel.queue_delete(name)
    channel.confirm_delivery()
    yield channel
    connection.close()


@pytest.fixture
def feed(tmp_path):
    made = []

    def make(server, maild, name="shop", settings=None, **others):
        table = {"server": f"127.0.0.1:{server.port}", "queue": QUEUE} | (settings or {})
        made.append(Feed(tmp_path, maild, name, rabbitmq=table, **others))
        return made[-1]

    yield make
    for each in made:
        each.clean_up()
        print(f"--- the end of {each.log_path}:", *each.log().splitlines()[-40:], sep="\n")


def publish(channel, *bodies, ids=None):
    for place, body in enumerate(bodies):
        properties = pika.BasicProperties(message_id=ids[place] if ids else None, delivery_mode=2)
        channel.basic_publish("", QUEUE, body, properties, mandatory=True)


def is_empty(channel, feed):
    return feed.number("unanswered") == 0 and channel.queue_declare(QUEUE, passive=True).method.message_count == 0


def test_jobs_arrive_and_the_feed_makes_its_queues(running, shared, channel, feed):
    feed = feed(shared, running).start()
    feed.wait_for("connected", 1)
    publish(channel, *(text(number) for number in range(50)))
    feed.wait_for("acknowledged_total", 50)
    until(lambda: len(jobs_by_subject(running)) == 50, "all mails are there")
    assert feed.stop() == 0
    # Nothing comes back: all was acknowledged.
    feed.start()
    feed.wait_for("connected", 1)
    publish(channel, text(50))
    feed.wait_for("acknowledged_total", 1)
    assert feed.number("consumed_total") == 1


def test_dead_letters_go_to_their_queue_with_the_reason(running, shared, channel, feed):
    feed = feed(shared, running).start()
    feed.wait_for("connected", 1)
    publish(channel, "{", text(1, to="a@"), text(2))
    feed.wait_for("dead_letters_total", 2)
    feed.wait_for("acknowledged_total", 3)
    letters = taken(channel, f"{QUEUE}.dead")
    assert sorted((properties.headers["x-maild-error"], body) for properties, body in letters) == \
        [("invalid_job", text(1, to="a@")), ("parse_error", "{")]
    assert {properties.headers.get("x-maild-field") for properties, _ in letters} == {None, "to"}


def test_letters_that_no_queue_takes_are_kept_until_one_does(running, shared, channel, feed):
    channel.exchange_delete("letters")
    channel.exchange_declare("letters", "direct")
    feed = feed(shared, running, settings={"dead_exchange": "letters", "dead_routing_key": "bad"}).start()
    feed.wait_for("connected", 1)
    publish(channel, "{", text(1))
    feed.wait_for_log("no queue takes what goes to exchange \"letters\"")
    feed.wait_for("acknowledged_total", 1)
    assert feed.number("dead_letters_total") == 0
    channel.queue_declare(f"{QUEUE}.dead")
    channel.queue_bind(f"{QUEUE}.dead", "letters", "bad")
    feed.wait_for("dead_letters_total", 1)
    assert [body for _, body in taken(channel, f"{QUEUE}.dead")] == ["{"]


def test_the_message_id_is_the_identity(running, shared, channel, feed):
    feed = feed(shared, running).start()
    feed.wait_for("connected", 1)
    publish(channel, text(1), text(1), text(1), text(2), text(2), ids=["a", "a", "b", "c", "c"])
    feed.wait_for("acknowledged_total", 5)
    assert feed.number("duplicates_total") == 2
    until(lambda: {name: len(jobs) for name, jobs in jobs_by_subject(running).items()} == {"n1": 2, "n2": 1},
          "three mails are there")


def test_never_more_than_the_window_is_with_us(maild, shared, channel, feed):
    target = maild()
    feed = feed(shared, target, window=10).start()
    feed.wait_for("connected", 1)
    publish(channel, *(text(number) for number in range(40)))
    feed.wait_for("consumed_total", 10)
    until(lambda: channel.queue_declare(QUEUE, passive=True).method.message_count == 30, "thirty stay in the queue")
    assert feed.number("unanswered") == 10
    feed.wait_for("lag_messages", 30)
    target.start()
    feed.wait_for("acknowledged_total", 40)


def test_settled_with_outcomes(maild, shared, channel, feed):
    target = maild().start()
    target.control.call("Pause")
    feed = feed(shared, target, ack="settled", outcomes={"routing_key": f"{QUEUE}.outcomes"}).start()
    feed.wait_for("connected", 1)
    publish(channel, *(text(number, tags=["shop"]) for number in range(5)))
    feed.wait_for("accepted_total", 5)
    feed.kill()
    feed.start()
    feed.wait_for("duplicates_total", 5)
    assert feed.number("redelivered_total") == 5
    target.control.call("Resume")
    feed.wait_for("acknowledged_total", 5)
    ends = [json.loads(body) for _, body in taken(channel, f"{QUEUE}.outcomes")]
    assert sorted((end["event"], end["ref"], *end["tags"]) for end in ends) == \
        [("delivered", f"r{number}", "shop") for number in range(5)]


def test_tls(running, shared, channel, feed):
    secure = {"server": f"localhost:{shared.tls_port}", "tls": True}
    stranger = feed(shared, running, "stranger", settings=secure).start()
    stranger.wait_for_log("cannot connect to .*SSL|cannot connect to .*certificate")
    stranger.stop()
    feed = feed(shared, running, settings=secure | {"tls_roots": shared.tls["roots"]}).start()
    feed.wait_for("connected", 1)
    publish(channel, text(1))
    feed.wait_for("acknowledged_total", 1)


@pytest.mark.parametrize("ack", ["accepted", "settled"])
def test_nothing_is_lost_or_mailed_twice_whoever_dies(maild, tmp_path, feed, ack):
    chance = random.Random(ack)
    (tmp_path / "rabbitmq").mkdir()
    server = RabbitMQServer(tmp_path / "rabbitmq").start()
    target = maild(workers=4).start()
    feed = feed(server, target, ack=ack).start()
    sent, ended = [], threading.Event()

    def load():
        number = 0
        while not ended.is_set():
            try:
                connection = server.client()
                channel = connection.channel()
                quorum_queue(channel, QUEUE)
                channel.confirm_delivery()
                while not ended.is_set():
                    number += 1
                    publish(channel, text(number), ids=[f"id{number}"])
                    sent.append(number)
                connection.close()
            except (pika.exceptions.AMQPError, OSError):
                ended.wait(0.05)

    thread = threading.Thread(target=load)
    thread.start()
    try:
        victims = [feed, target, server] * (ROUNDS // 3)
        chance.shuffle(victims)
        for victim in victims:
            count = len(sent)
            until(lambda: len(sent) > count + chance.choice((20, 60)), "jobs are sent", 90)
            victim.kill()
            victim.start()
        feed.wait_for("connected", 1, seconds=60)
    finally:
        ended.set()
        thread.join()
    try:
        connection = server.client()
        channel = connection.channel()
        until(lambda: is_empty(channel, feed), "all is answered", 90)
        target.wait_for_counts(ready=0, running=0, scheduled=0, seconds=60)
        found = jobs_by_subject(target)
        assert not {f"n{number}" for number in sent} - set(found), "lost"
        assert {subject: jobs for subject, jobs in found.items() if len(jobs) > 1} == {}, "mailed twice"
        assert feed.number("dead_letters_total") == 0
        connection.close()
    finally:
        server.clean_up()
