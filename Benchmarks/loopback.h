// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0
//
// TCP connections to a server of this machine, for the load generators that wait for many answers at a time.

#ifndef LOOPBACK_H
#define LOOPBACK_H

#include "bench.h"
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>

enum { in_size = 131072 };

struct connection {
    int fd;
    void *state;  // the caller's own
    size_t length;
    char in[in_size];
};

/// Watched for input by `epoll_fd`, whose events carry it.
static inline struct connection *open_connection(long port, int epoll_fd) {
    struct connection *c = calloc(1, sizeof *c);
    if (!c) die("no memory");
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int one = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof address)) die("connect: %s", strerror(errno));
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = c};
    if (epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event)) die("epoll_ctl: %s", strerror(errno));
    c->fd = fd;
    return c;
}

static inline void write_all(int fd, const char *bytes, size_t length) {
    while (length > 0) {
        ssize_t n = send(fd, bytes, length, MSG_NOSIGNAL);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) die("write: %s", strerror(errno));
        bytes += n;
        length -= n;
    }
}

/// Obeys one whole answer at the start of `in`, where a NUL stands behind what has come. Returns its length, or 0 where
/// more must be read.
typedef size_t obey_one(struct connection *c, const char *in, size_t length);

static inline void receive(struct connection *c, obey_one *obey) {
    ssize_t n = recv(c->fd, c->in + c->length, in_size - 1 - c->length, 0);
    if (n < 0 && errno == EINTR) return;
    if (n <= 0) die("read: %s", n ? strerror(errno) : "closed");
    c->length += n;
    c->in[c->length] = 0;
    size_t used = 0;
    for (size_t one; (one = obey(c, c->in + used, c->length - used)) > 0;) used += one;
    c->length -= used;
    memmove(c->in, c->in + used, c->length);
}

/// Waits for the next answers of all connections.
static inline void receive_some(int epoll_fd, obey_one *obey) {
    struct epoll_event events[256];
    int ready = epoll_wait(epoll_fd, events, 256, 30000);
    if (ready == 0) die("no answer for 30 s");
    for (int i = 0; i < ready; i++) receive(events[i].data.ptr, obey);
}

#endif
