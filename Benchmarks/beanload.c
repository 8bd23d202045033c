// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0
//
// Loads a beanstalkd: P connections put N jobs, one at a time each; W others reserve and delete them. Measures from
// the first put to the last INSERTED, or, where there are takers, to the last DELETED.

#define _GNU_SOURCE // memmem
#include "bench.h"
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { body_max = 65536, in_size = 2 * body_max };

struct connection {
    int fd;
    int takes;
    size_t length;
    char in[in_size];
};

static long putters = 50, takers = 0, jobs = 10000, body_size = 300, port = 11300;
static long put_begun, put_done, deleted;
static char *put_command;
static size_t put_length;
static int epoll_fd;

static void write_all(struct connection *c, const char *bytes, size_t length) {
    while (length > 0) {
        ssize_t n = send(c->fd, bytes, length, MSG_NOSIGNAL);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) die("write: %s", strerror(errno));
        bytes += n;
        length -= n;
    }
}

static void put(struct connection *c) {
    if (put_begun == jobs) return;
    put_begun++;
    write_all(c, put_command, put_length);
}

static void reserve(struct connection *c) { write_all(c, "reserve\r\n", 9); }

static void delete(struct connection *c, const char *id) {
    char command[64];
    int length = snprintf(command, sizeof command, "delete %.*s\r\n", (int)strcspn(id, " \r"), id);
    write_all(c, command, length);
}

/// One whole reply at the buffer's start is obeyed; returns its length, or 0 where more must be read.
static size_t obey(struct connection *c) {
    char *end = memmem(c->in, c->length, "\r\n", 2);
    if (!end) return 0;
    size_t line = end + 2 - c->in;
    if (!strncmp(c->in, "INSERTED ", 9)) {
        put_done++;
        put(c);
    } else if (!strncmp(c->in, "RESERVED ", 9)) {
        const char *bytes = strchr(c->in + 9, ' ');
        if (!bytes) die("an odd reply: %.*s", (int)line, c->in);
        line += strtol(bytes, NULL, 10) + 2;
        if (c->length < line) return 0;
        delete(c, c->in + 9);
    } else if (!strncmp(c->in, "DELETED", 7)) {
        deleted++;
        reserve(c);
    } else {
        die("refused: %.*s", (int)line, c->in);
    }
    return line;
}

static void receive(struct connection *c) {
    ssize_t n = recv(c->fd, c->in + c->length, in_size - 1 - c->length, 0);
    if (n < 0 && errno == EINTR) return;
    if (n <= 0) die("read: %s", n ? strerror(errno) : "closed");
    c->length += n;
    c->in[c->length] = 0;
    for (size_t used; (used = obey(c)) > 0;) {
        c->length -= used;
        memmove(c->in, c->in + used, c->length + 1);
    }
}

static struct connection *open_connection(int takes) {
    struct connection *c = calloc(1, sizeof *c);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int one = 1;
    if (!c) die("no memory");
    c->takes = takes;
    c->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (c->fd < 0 || connect(c->fd, (struct sockaddr *)&address, sizeof address)) die("connect: %s", strerror(errno));
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = c};
    if (epoll_ctl(epoll_fd, EPOLL_CTL_ADD, c->fd, &event)) die("epoll_ctl: %s", strerror(errno));
    return c;
}

static void make_put(void) {
    put_command = malloc(body_size + 64);
    if (!put_command) die("no memory");
    put_length = sprintf(put_command, "put 0 0 120 %ld\r\n", body_size);
    memset(put_command + put_length, 'x', body_size);
    put_length += body_size;
    memcpy(put_command + put_length, "\r\n", 2);
    put_length += 2;
}

static void read_options(int count, char **arguments) {
    for (int option; (option = getopt(count, arguments, "c:t:n:s:p:")) != -1;) {
        switch (option) {
        case 'c': putters = number('c', optarg, 1, 1024); break;
        case 't': takers = number('t', optarg, 0, 1024); break;
        case 'n': jobs = number('n', optarg, 1, 100000000); break;
        case 's': body_size = number('s', optarg, 1, body_max); break;
        case 'p': port = number('p', optarg, 1, 65535); break;
        default: exit(64);
        }
    }
}

int main(int count, char **arguments) {
    read_options(count, arguments);
    make_put();
    epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    for (long i = 0; i < takers; i++) reserve(open_connection(1));
    uint64_t start = now_ns();
    for (long i = 0; i < putters; i++) put(open_connection(0));
    while (takers ? deleted < jobs : put_done < jobs) {
        struct epoll_event events[256];
        int ready = epoll_wait(epoll_fd, events, 256, 30000);
        if (ready == 0) die("no reply for 30 s");
        for (int i = 0; i < ready; i++) receive(events[i].data.ptr);
    }
    double seconds = (double)(now_ns() - start) * 1e-9;
    printf("{\"jobs\":%ld,\"seconds\":%.3f,\"jobs_per_s\":%.0f}\n", jobs, seconds, (double)jobs / seconds);
    return 0;
}
