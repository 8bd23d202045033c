# maild, the mail-job daemon
# SPDX-License-Identifier: Apache-2.0
"""A broker of this host on a box's network: usage: broker_stage.py rabbitmq|kafka QUEUE-OR-TOPIC. Says its address,
publishes each line of its input, says `sent`, and ends with its input."""

import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path

import pika
from kafka_cluster import KafkaCluster
from rabbitmq_server import RabbitMQServer, quorum_queue


@contextmanager
def rabbitmq(queue):
    with tempfile.TemporaryDirectory() as directory:
        server = RabbitMQServer(Path(directory)).start()
        try:
            channel = server.client().channel()
            channel.confirm_delivery()
            quorum_queue(channel, queue)

            def publish(line):
                properties = pika.BasicProperties(message_id=f"id{hash(line)}", delivery_mode=2)
                channel.basic_publish("", queue, line.encode(), properties, mandatory=True)
            yield f"127.0.0.1:{server.port}", publish
        finally:
            server.clean_up()


@contextmanager
def kafka(topic):
    cluster = KafkaCluster()
    cluster.make_topic(topic)
    yield cluster.address, lambda line: cluster.add(topic, [line])
    cluster.clean_up()


with {"rabbitmq": rabbitmq, "kafka": kafka}[sys.argv[1]](sys.argv[2]) as (address, publish):
    print(address, flush=True)
    for line in sys.stdin:
        publish(line.strip())
        print("sent", flush=True)
