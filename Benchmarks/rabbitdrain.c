// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0
//
// The plainest consumer of a RabbitMQ queue: takes N messages with a prefetch of W and acknowledges a quarter of that
// at a time. Measures from the first delivery until the broker has heard the last acknowledgement.

#include "bench.h"
#include "rabbit.h"
#include <unistd.h>

static long messages = 20000, window = 1024, port;

static void open_channel(void) {
    connect_to_rabbit(port);
    amqp_basic_qos(connection, 1, 0, (uint16_t)window, 0);
    must("prefetch");
    amqp_basic_consume(
        connection, 1, amqp_cstring_bytes("jobs"), amqp_empty_bytes, 0, 0, 0, amqp_empty_table);
    must("queue");
}

int main(int count, char **arguments) {
    for (int option; (option = getopt(count, arguments, "n:w:p:")) != -1;) {
        switch (option) {
        case 'n': messages = number('n', optarg, 1, 100000000); break;
        case 'w': window = number('w', optarg, 1, 65535); break;
        case 'p': port = number('p', optarg, 1, 65535); break;
        default: exit(64);
        }
    }
    if (!port) die("usage: rabbitdrain -p port [-n messages] [-w unacknowledged]");
    open_channel();
    uint64_t start = 0;
    for (long done = 1; done <= messages; done++) {
        amqp_envelope_t envelope;
        amqp_maybe_release_buffers(connection);
        amqp_rpc_reply_t reply = amqp_consume_message(connection, &envelope, NULL, 0);
        if (reply.reply_type != AMQP_RESPONSE_NORMAL) die("after %ld messages nothing comes", done - 1);
        if (done == 1) start = now_ns();
        if (done == messages || done % (window / 4 + 1) == 0) amqp_basic_ack(connection, 1, envelope.delivery_tag, 1);
        amqp_destroy_envelope(&envelope);
    }
    // What the broker answers to this it says after it has heard all acknowledgements.
    amqp_queue_declare(connection, 1, amqp_cstring_bytes("jobs"), 1, 0, 0, 0, amqp_empty_table);
    must("the end");
    double seconds = (double)(now_ns() - start) * 1e-9;
    printf("{\"messages\":%ld,\"seconds\":%.3f,\"messages_per_s\":%.0f}\n", messages, seconds,
           (double)messages / seconds);
    return 0;
}
