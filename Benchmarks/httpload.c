// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0
//
// Asks a web server on this machine the same thing N times over C kept connections, one request at a time each.

#define _GNU_SOURCE // memmem, strcasestr
#include "loopback.h"
#include <unistd.h>

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

static size_t obey(struct connection *c, const char *in, size_t there) {
    const char *end = memmem(in, there, "\r\n\r\n", 4);
    if (!end) return 0;
    if (strncmp(in, "HTTP/1.1 200", 12)) die("refused: %.60s", in);
    const char *field = strcasestr(in, "\r\ncontent-length:");
    if (!field || field > end) die("an answer without a length");
    size_t length = end + 4 - in + strtoul(field + 17, NULL, 10);
    if (length > there) return 0;
    done++;
    ask(c);
    return length;
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
    for (long i = 0; i < connection_count; i++) ask(open_connection(port, epoll_fd));
    while (done < requests) receive_some(epoll_fd, obey);
    double seconds = (double)(now_ns() - start) * 1e-9;
    printf("{\"requests\":%ld,\"seconds\":%.3f,\"requests_per_s\":%.0f}\n", done, seconds, (double)done / seconds);
    return 0;
}
