// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0
//
// Asks a web server on this machine the same thing N times over C kept connections, one request at a time each.

#define _GNU_SOURCE // memmem, strcasestr
#include "loopback.h"
#include <unistd.h>

enum { in_size = 8192 };

struct connection {
    int fd;
    size_t length;
    char in[in_size];
};

static long connection_count = 50, requests = 10000, port, begun, done;
static const char *path = "/";
static char request[4096];
static size_t request_length;
static int epoll_fd;

static void ask(struct connection *c) {
    if (begun == requests) return;
    begun++;
    write_all(c->fd, request, request_length);
}

/// The length of the whole answer at the buffer's start, or 0 where more must be read.
static size_t answer_length(struct connection *c) {
    const char *end = memmem(c->in, c->length, "\r\n\r\n", 4);
    if (!end) return 0;
    if (strncmp(c->in, "HTTP/1.1 200", 12)) die("refused: %.60s", c->in);
    const char *field = strcasestr(c->in, "\r\ncontent-length:");
    if (!field || field > end) die("an answer without a length");
    size_t length = end + 4 - c->in + strtoul(field + 17, NULL, 10);
    return length <= c->length ? length : 0;
}

static void receive(struct connection *c) {
    ssize_t n = recv(c->fd, c->in + c->length, in_size - 1 - c->length, 0);
    if (n < 0 && errno == EINTR) return;
    if (n <= 0) die("read: %s", n ? strerror(errno) : "closed");
    c->length += n;
    c->in[c->length] = 0;
    for (size_t used; (used = answer_length(c)) > 0;) {
        c->length -= used;
        memmove(c->in, c->in + used, c->length + 1);
        done++;
        ask(c);
    }
}

static void read_options(int count, char **arguments) {
    for (int option; (option = getopt(count, arguments, "c:n:p:u:")) != -1;) {
        switch (option) {
        case 'c': connection_count = number('c', optarg, 1, 1024); break;
        case 'n': requests = number('n', optarg, 1, 100000000); break;
        case 'p': port = number('p', optarg, 1, 65535); break;
        case 'u': path = optarg; break;
        default: exit(64);
        }
    }
    if (!port || strlen(path) > 4000) die("usage: httpload -p port [-u path] [-c connections] [-n requests]");
}

int main(int count, char **arguments) {
    read_options(count, arguments);
    request_length = sprintf(request, "GET %s HTTP/1.1\r\nHost: localhost\r\n\r\n", path);
    epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    uint64_t start = now_ns();
    for (long i = 0; i < connection_count; i++) {
        struct connection *c = calloc(1, sizeof *c);
        if (!c) die("no memory");
        c->fd = connect_loopback(port, epoll_fd, c);
        ask(c);
    }
    while (done < requests) {
        struct epoll_event events[256];
        int ready = epoll_wait(epoll_fd, events, 256, 30000);
        if (ready == 0) die("no answer for 30 s: %ld of %ld", done, requests);
        for (int i = 0; i < ready; i++) receive(events[i].data.ptr);
    }
    double seconds = (double)(now_ns() - start) * 1e-9;
    printf("{\"requests\":%ld,\"seconds\":%.3f,\"requests_per_s\":%.0f}\n", done, seconds, (double)done / seconds);
    return 0;
}
