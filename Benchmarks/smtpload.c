// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0
//
// A bare SMTP client, as fast as the protocol allows: C connections kept open, the next envelope pipelined behind
// each message (RFC 2920 §3.1). It shows how much a sink can take, with no queue before it.

#include "loopback.h"
#include <unistd.h>

enum { replies_a_message = 4 };

struct dialogue {
    int greeted;      // replies to come before the first envelope may be written
    int replies;      // of the message in hand: MAIL, RCPT, DATA, the final one
    int last;         // no envelope follows the message in hand
};

static long connection_count = 16, messages = 100000, size = 1024, port;
static long begun, done;
static int epoll_fd;
static char *body;
static size_t body_length;

static const char envelope[] =
    "MAIL FROM:<app@example.org>\r\nRCPT TO:<u@bench.example>\r\nDATA\r\n";

/// The message after its 354, and the next envelope behind it, in one write.
static void send_body(int fd, struct dialogue *d) {
    d->last = begun == messages;
    begun += !d->last;
    write_all(fd, body, body_length - (d->last ? sizeof envelope - 1 : 0));
}

static void reply(int fd, struct dialogue *d, const char *line) {
    if (line[0] != '2' && line[0] != '3') die("refused: %.40s", line);
    if (line[3] == '-') return;
    if (d->greeted < 2) {
        if (d->greeted++ == 0) write_all(fd, "EHLO bench.localhost\r\n", 22);
        else if (begun < messages) begun++, write_all(fd, envelope, sizeof envelope - 1);
        return;
    }
    d->replies++;
    if (d->replies == replies_a_message - 1) send_body(fd, d);
    if (d->replies < replies_a_message) return;
    d->replies = 0;
    done++;
}

static size_t obey(struct connection *c, const char *in, size_t length) {
    const char *newline = memchr(in, '\n', length);
    if (!newline) return 0;
    reply(c->fd, c->state, in);
    return newline + 1 - in;
}

static void make_body(void) {
    static const char head[] = "From: app@example.org\r\nTo: u@bench.example\r\nSubject: A measured message\r\n\r\n";
    static const char end[] = "\r\n.\r\n";
    body = malloc(sizeof head + size + sizeof end + sizeof envelope);
    if (!body) die("no memory");
    memcpy(body, head, sizeof head - 1);
    body_length = sizeof head - 1;
    for (long i = 0; i < size; i++) body[body_length + i] = i % 72 == 70 ? '\r' : i % 72 == 71 ? '\n' : 'x';
    body_length += size;
    memcpy(body + body_length, end, sizeof end - 1);
    body_length += sizeof end - 1;
    memcpy(body + body_length, envelope, sizeof envelope - 1);
    body_length += sizeof envelope - 1;
}

static void read_options(int count, char **arguments) {
    for (int option; (option = getopt(count, arguments, "c:n:s:p:")) != -1;) {
        switch (option) {
        case 'c': connection_count = number('c', optarg, 1, 1024); break;
        case 'n': messages = number('n', optarg, 1, 100000000); break;
        case 's': size = number('s', optarg, 1, 1 << 24); break;
        case 'p': port = number('p', optarg, 1, 65535); break;
        default: exit(64);
        }
    }
    if (!port) die("usage: smtpload -p port [-c connections] [-n messages] [-s bytes]");
}

int main(int count, char **arguments) {
    read_options(count, arguments);
    make_body();
    epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    struct dialogue *dialogues = calloc(connection_count, sizeof *dialogues);
    if (!dialogues) die("no memory");
    for (long i = 0; i < connection_count; i++) open_connection(port, epoll_fd)->state = &dialogues[i];
    uint64_t start = now_ns();
    while (done < messages) receive_some(epoll_fd, obey);
    double seconds = (double)(now_ns() - start) * 1e-9;
    printf("{\"messages\":%ld,\"seconds\":%.3f,\"messages_per_s\":%.0f}\n", messages, seconds,
           (double)messages / seconds);
    return 0;
}
