# maild, the mail-job daemon
# SPDX-License-Identifier: Apache-2.0
"""librdkafka's own cluster of brokers, in this process: no disk, but several brokers that can be away and come back
with all they had, groups that rebalance, errors to order. Its brokers listen on ports of the loopback."""

import ctypes
from pathlib import Path

import confluent_kafka
from kafka_broker import KafkaClients

# https://kafka.apache.org/protocol#protocol_api_keys, and #protocol_error_codes
HEARTBEAT = 12
FENCED_INSTANCE_ID = 82


def library():
    """The one that the wheel has loaded already, so that there is one of it in this process."""
    [path] = (Path(confluent_kafka.__file__).parent.parent / "confluent_kafka.libs").glob("librdkafka*.so.1")
    found = ctypes.CDLL(str(path))
    for name in ("rd_kafka_conf_new", "rd_kafka_new", "rd_kafka_mock_cluster_new"):
        getattr(found, name).restype = ctypes.c_void_p
    found.rd_kafka_mock_cluster_bootstraps.restype = ctypes.c_char_p
    return found


class KafkaCluster(KafkaClients):
    def __init__(self, brokers=1):
        self.library = library()
        text = ctypes.create_string_buffer(512)
        configuration = ctypes.c_void_p(self.library.rd_kafka_conf_new())
        self.handle = ctypes.c_void_p(self.library.rd_kafka_new(0, configuration, text, len(text)))
        assert self.handle, text.value
        self.cluster = ctypes.c_void_p(self.library.rd_kafka_mock_cluster_new(self.handle, brokers))
        self.brokers = range(1, brokers + 1)
        self.library.rd_kafka_mock_group_initial_rebalance_delay_ms(self.cluster, 200)

    @property
    def address(self):
        return self.library.rd_kafka_mock_cluster_bootstraps(self.cluster).decode()

    def make_topic(self, name, partitions=1):
        assert self.library.rd_kafka_mock_topic_create(self.cluster, name.encode(), partitions, 1) == 0

    def down(self):
        """All connections break and none is taken; what the brokers keep stays."""
        for broker in self.brokers:
            self.library.rd_kafka_mock_broker_set_down(self.cluster, broker)

    def up(self):
        for broker in self.brokers:
            self.library.rd_kafka_mock_broker_set_up(self.cluster, broker)

    def fail(self, request, *errors):
        """The next requests of that kind are answered so."""
        codes = (ctypes.c_int * len(errors))(*errors)
        self.library.rd_kafka_mock_push_request_errors_array(
            self.cluster, ctypes.c_int16(request), ctypes.c_size_t(len(errors)), codes)

    def clean_up(self):
        self.library.rd_kafka_mock_cluster_destroy(self.cluster)
        self.library.rd_kafka_destroy(self.handle)
