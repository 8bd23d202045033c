// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0
//
// Loads a beanstalkd: P connections put N jobs, one at a time each; W others reserve and delete them. Measures from
// the first put to the last INSERTED, or, where there are takers, to the last DELETED.

#define _GNU_SOURCE // memmem
#include "loopback.h"
#include <unistd.h>

enum { body_max = 65536, in_size = 2 * body_max };

struct connection {
    int fd;
    size_t length;
    char in[in_size];
};

static long putters = 50, takers = 0, jobs = 10000, body_size = 300, port = 11300;
static long put_begun, put_done, deleted;
static char *put_command;
static size_t put_length;
static int epoll_fd;

static void put(struct connection *c) {
    if (put_begun == jobs) return;
    put_begun++;
    write_all(c->fd, put_command, put_length);
}

static void reserve(struct connection *c) { write_all(c->fd, "reserve\r\n", 9); }

static void delete(struct connection *c, const char *id) {
    char command[64];
    int length = snprintf(command, sizeof command, "delete %.*s\r\n", (int)strcspn(id, " \r"), id);
    write_all(c->fd, command, length);
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

static struct connection *open_connection(void) {
    struct connection *c = calloc(1, sizeof *c);
    if (!c) die("no memory");
    c->fd = connect_loopback(port, epoll_fd, c);
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
    for (long i = 0; i < takers; i++) reserve(open_connection());
    uint64_t start = now_ns();
    for (long i = 0; i < putters; i++) put(open_connection());
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
