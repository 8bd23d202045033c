// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0
//
// A bare SMTP client, as fast as the protocol allows: C connections kept open, the next envelope pipelined behind
// each message (RFC 2920 §3.1). It shows how much a sink can take, with no queue before it.

#include "loopback.h"
#include <unistd.h>

enum { in_size = 16384, replies_a_message = 4 };

struct connection {
    int fd;
    int greeted;      // replies to come before the first envelope may be written
    int replies;      // of the message in hand: MAIL, RCPT, DATA, the final one
    int last;         // no envelope follows the message in hand
    size_t length;
    char in[in_size];
};

static long connection_count = 16, messages = 100000, size = 1024, port;
static long begun, done;
static int epoll_fd;
static char *body;
static size_t body_length;

static const char envelope[] =
    "MAIL FROM:<app@example.org>\r\nRCPT TO:<u@bench.example>\r\nDATA\r\n";

/// The message after its 354, and the next envelope behind it, in one write.
static void send_body(struct connection *c) {
    c->last = begun == messages;
    begun += !c->last;
    write_all(c->fd, body, body_length - (c->last ? sizeof envelope - 1 : 0));
}

static void obey(struct connection *c, const char *line) {
    if (line[0] != '2' && line[0] != '3') die("refused: %.40s", line);
    if (line[3] == '-') return;
    if (c->greeted < 2) {
        if (c->greeted++ == 0) write_all(c->fd, "EHLO bench.localhost\r\n", 22);
        else if (begun < messages) begun++, write_all(c->fd, envelope, sizeof envelope - 1);
        return;
    }
    c->replies++;
    if (c->replies == replies_a_message - 1) send_body(c);
    if (c->replies < replies_a_message) return;
    c->replies = 0;
    done++;
}

static void receive(struct connection *c) {
    ssize_t n = recv(c->fd, c->in + c->length, in_size - c->length, 0);
    if (n < 0 && errno == EINTR) return;
    if (n <= 0) die("read: %s", n ? strerror(errno) : "closed");
    c->length += n;
    char *line = c->in, *end = c->in + c->length, *newline;
    while ((newline = memchr(line, '\n', end - line))) {
        obey(c, line);
        line = newline + 1;
    }
    c->length = end - line;
    memmove(c->in, line, c->length);
}

static void open_connection(void) {
    struct connection *c = calloc(1, sizeof *c);
    if (!c) die("no memory");
    c->fd = connect_loopback(port, epoll_fd, c);
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
    for (long i = 0; i < connection_count; i++) open_connection();
    uint64_t start = now_ns();
    while (done < messages) {
        struct epoll_event events[256];
        int ready = epoll_wait(epoll_fd, events, 256, 30000);
        if (ready == 0) die("no reply for 30 s: %ld of %ld messages", done, messages);
        for (int i = 0; i < ready; i++) receive(events[i].data.ptr);
    }
    double seconds = (double)(now_ns() - start) * 1e-9;
    printf("{\"messages\":%ld,\"seconds\":%.3f,\"messages_per_s\":%.0f}\n", messages, seconds,
           (double)messages / seconds);
    return 0;
}
