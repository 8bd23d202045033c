// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0
//
// Loads a beanstalkd: P connections put N jobs, one at a time each; W others reserve and delete them. Measures from
// the first put to the last INSERTED, or, where there are takers, to the last DELETED.

#define _GNU_SOURCE // memmem
#include "loopback.h"
#include <unistd.h>

enum { body_max = in_size / 2 };

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

static size_t obey(struct connection *c, const char *in, size_t length) {
    const char *end = memmem(in, length, "\r\n", 2);
    if (!end) return 0;
    size_t line = end + 2 - in;
    if (!strncmp(in, "INSERTED ", 9)) {
        put_done++;
        put(c);
    } else if (!strncmp(in, "RESERVED ", 9)) {
        const char *bytes = strchr(in + 9, ' ');
        if (!bytes) die("an odd reply: %.*s", (int)line, in);
        line += strtol(bytes, NULL, 10) + 2;
        if (length < line) return 0;
        delete(c, in + 9);
    } else if (!strncmp(in, "DELETED", 7)) {
        deleted++;
        reserve(c);
    } else {
        die("refused: %.*s", (int)line, in);
    }
    return line;
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
    for (long i = 0; i < takers; i++) reserve(open_connection(port, epoll_fd));
    uint64_t start = now_ns();
    for (long i = 0; i < putters; i++) put(open_connection(port, epoll_fd));
    while (takers ? deleted < jobs : put_done < jobs) receive_some(epoll_fd, obey);
    double seconds = (double)(now_ns() - start) * 1e-9;
    printf("{\"jobs\":%ld,\"seconds\":%.3f,\"jobs_per_s\":%.0f}\n", jobs, seconds, (double)jobs / seconds);
    return 0;
}
