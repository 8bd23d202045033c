// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0
//
// Publishes N persistent messages to a new quorum queue of a RabbitMQ, with confirms and at most W unconfirmed, over
// one connection; measures from the first to the last confirm.

#include "bench.h"
#include "rabbit.h"
#include <unistd.h>

static long messages = 20000, window = 200, size = 300, port;
static long sent, done, first_open = 1;
static char *is_done; // by number, from 1

static void open_channel(void) {
    connect_to_rabbit(port);
    amqp_table_entry_t entry = {.key = amqp_cstring_bytes("x-queue-type")};
    entry.value.kind = AMQP_FIELD_KIND_UTF8;
    entry.value.value.bytes = amqp_cstring_bytes("quorum");
    amqp_table_t arguments = {.num_entries = 1, .entries = &entry};
    amqp_queue_declare(connection, 1, amqp_cstring_bytes("bench"), 0, 1, 0, 0, arguments);
    must("queue");
    amqp_confirm_select(connection, 1);
    must("confirms");
}

static void confirm(long message) {
    if (message < 1 || message > messages) die("a confirm of message %ld", message);
    done += !is_done[message];
    is_done[message] = 1;
}

/// Waits for one answer. A quorum queue confirms in any order, one at a time or all up to a number.
static void take_confirms(void) {
    amqp_frame_t frame;
    amqp_maybe_release_buffers(connection);
    int status = amqp_simple_wait_frame(connection, &frame);
    if (status) die("waiting: %s", amqp_error_string2(status));
    if (frame.frame_type != AMQP_FRAME_METHOD) return;
    if (frame.payload.method.id != AMQP_BASIC_ACK_METHOD) die("a message was not taken");
    amqp_basic_ack_t *ack = frame.payload.method.decoded;
    long tag = (long)ack->delivery_tag;
    confirm(tag);
    for (; ack->multiple && first_open < tag; first_open++) confirm(first_open);
}

int main(int count, char **arguments) {
    for (int option; (option = getopt(count, arguments, "n:w:s:p:")) != -1;) {
        switch (option) {
        case 'n': messages = number('n', optarg, 1, 100000000); break;
        case 'w': window = number('w', optarg, 1, 65536); break;
        case 's': size = number('s', optarg, 1, 1 << 20); break;
        case 'p': port = number('p', optarg, 1, 65535); break;
        default: exit(64);
        }
    }
    if (!port) die("usage: rabbitload -p port [-n messages] [-w unconfirmed] [-s bytes]");
    open_channel();
    char *text = malloc(size);
    is_done = calloc(messages + 1, 1);
    if (!text || !is_done) die("no memory");
    memset(text, 'x', size);
    amqp_bytes_t body = {.len = size, .bytes = text};
    amqp_basic_properties_t properties = {._flags = AMQP_BASIC_DELIVERY_MODE_FLAG, .delivery_mode = 2};
    uint64_t start = now_ns();
    while (done < messages) {
        if (sent < messages && sent - done < window) {
            int status = amqp_basic_publish(
                connection, 1, amqp_empty_bytes, amqp_cstring_bytes("bench"), 0, 0, &properties, body);
            if (status) die("publishing: %s", amqp_error_string2(status));
            sent++;
        } else {
            take_confirms();
        }
    }
    double seconds = (double)(now_ns() - start) * 1e-9;
    printf("{\"messages\":%ld,\"seconds\":%.3f,\"messages_per_s\":%.0f}\n", messages, seconds,
           (double)messages / seconds);
    return 0;
}
