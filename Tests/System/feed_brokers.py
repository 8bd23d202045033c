# maild, the mail-job daemon
# SPDX-License-Identifier: Apache-2.0
"""The three brokers behind one face, for what must be so with each of them."""

import pika
from kafka_broker import library_path
from kafka_cluster import KafkaCluster
from rabbitmq_server import RabbitMQServer, quorum_queue
from redis_server import RedisServer


class RedisSide:
    def __init__(self, directory):
        self.server = RedisServer(directory).start()
        self.table = {"redis": {"server": f"127.0.0.1:{self.server.port}", "stream": "jobs"}}
        self.environment = {}

    def add(self, bodies):
        with self.server.client() as client:
            client.many([("XADD", "jobs", "*", "job", body) for body in bodies])

    def close(self):
        self.server.clean_up()


class RabbitMQSide:
    def __init__(self, directory):
        self.server = RabbitMQServer(directory).start()
        self.table = {"rabbitmq": {"server": f"127.0.0.1:{self.server.port}", "queue": "jobs"}}
        self.environment = {}
        self.count = 0

    def add(self, bodies):
        connection = self.server.client()
        channel = connection.channel()
        quorum_queue(channel, "jobs")
        channel.confirm_delivery()
        for body in bodies:
            self.count += 1
            properties = pika.BasicProperties(message_id=f"id{self.count}", delivery_mode=2)
            channel.basic_publish("", "jobs", body.encode(), properties, mandatory=True)
        connection.close()

    def close(self):
        self.server.clean_up()


class KafkaSide:
    def __init__(self, directory):
        self.cluster = KafkaCluster()
        self.cluster.make_topic("jobs")
        self.cluster.make_topic("jobs.dead")
        self.table = {"kafka": {"brokers": self.cluster.address, "topic": "jobs", "session_timeout_seconds": 6}}
        self.environment = {"LD_LIBRARY_PATH": library_path(directory / "library")}

    def add(self, bodies):
        self.cluster.add("jobs", bodies)

    def close(self):
        self.cluster.clean_up()


SIDES = {"redis": RedisSide, "rabbitmq": RabbitMQSide, "kafka": KafkaSide}
