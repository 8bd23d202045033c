// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0
//
// The plainest consumer of a Kafka topic: a new group takes N messages one by one from librdkafka and commits at the
// end. Measures from the first message until the broker has the commit.

#include "bench.h"
#include <librdkafka/rdkafka.h>
#include <unistd.h>

static long messages = 20000, port;

static rd_kafka_t *open_consumer(void) {
    char error[512], brokers[64];
    sprintf(brokers, "127.0.0.1:%ld", port);
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    const char *settings[][2] = {{"bootstrap.servers", brokers}, {"group.id", "bench"},
                                 {"auto.offset.reset", "earliest"}, {"enable.auto.commit", "false"},
                                 {"session.timeout.ms", "2000"}, {"heartbeat.interval.ms", "600"}};
    for (size_t i = 0; i < sizeof settings / sizeof *settings; i++)
        if (rd_kafka_conf_set(conf, settings[i][0], settings[i][1], error, sizeof error)) die("%s", error);
    rd_kafka_t *consumer = rd_kafka_new(RD_KAFKA_CONSUMER, conf, error, sizeof error);
    if (!consumer) die("%s", error);
    rd_kafka_poll_set_consumer(consumer);
    rd_kafka_topic_partition_list_t *topics = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_list_add(topics, "jobs", RD_KAFKA_PARTITION_UA);
    if (rd_kafka_subscribe(consumer, topics)) die("no subscription");
    rd_kafka_topic_partition_list_destroy(topics);
    return consumer;
}

int main(int count, char **arguments) {
    for (int option; (option = getopt(count, arguments, "n:w:p:")) != -1;) {
        switch (option) {
        case 'n': messages = number('n', optarg, 1, 100000000); break;
        case 'w': break;
        case 'p': port = number('p', optarg, 1, 65535); break;
        default: exit(64);
        }
    }
    if (!port) die("usage: kafkadrain -p port [-n messages]");
    rd_kafka_t *consumer = open_consumer();
    uint64_t start = 0, patience = now_ns() + 60000000000;
    for (long done = 0; done < messages;) {
        rd_kafka_message_t *message = rd_kafka_consumer_poll(consumer, 100);
        if (!message && now_ns() > patience) die("only %ld of %ld messages in a minute", done, messages);
        if (!message) continue;
        if (!message->err && !done++) start = now_ns();
        rd_kafka_message_destroy(message);
    }
    rd_kafka_resp_err_t error = rd_kafka_commit(consumer, NULL, 0);
    if (error) die("commit: %s", rd_kafka_err2str(error));
    double seconds = (double)(now_ns() - start) * 1e-9;
    printf("{\"messages\":%ld,\"seconds\":%.3f,\"messages_per_s\":%.0f}\n", messages, seconds,
           (double)messages / seconds);
    return 0;
}
