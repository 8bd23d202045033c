// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0
//
// The plainest consumer of a Redis stream: reads N entries of a new group, COUNT at a time, and acknowledges those of
// one reply together with the next question. Measures from the first reply to the last acknowledgement.

#include "bench.h"
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

enum { in_size = 16 << 20, ids_max = 1024, id_size = 48 };

static long entries = 100000, batch = 512, port;
static int fd;
static char in[in_size + 1], out[ids_max * (id_size + 16) + 4096];
static size_t length, out_length;
static char ids[ids_max][id_size];
static long found;

static void word(const char *text) {
    out_length += sprintf(out + out_length, "$%zu\r\n%s\r\n", strlen(text), text);
}

static void say(void) {
    for (size_t sent = 0; sent < out_length;) {
        ssize_t n = send(fd, out + sent, out_length - sent, MSG_NOSIGNAL);
        if (n < 0) die("write: %s", strerror(errno));
        sent += n;
    }
    out_length = 0;
}

static void ask(void) {
    char count[24];
    sprintf(count, "%ld", batch);
    out_length += sprintf(out + out_length, "*9\r\n");
    for (const char *const *w = (const char *const[]){
             "XREADGROUP", "GROUP", "bench", "bench", "COUNT", count, "STREAMS", "jobs", ">", NULL};
         *w; w++)
        word(*w);
}

static void acknowledge(void) {
    out_length += sprintf(out + out_length, "*%ld\r\n", found + 3);
    word("XACK"), word("jobs"), word("bench");
    for (long i = 0; i < found; i++) word(ids[i]);
    found = 0;
}

/// Passes over one value; returns its end, or NULL where more must be read. A string of the fourth array within arrays
/// is an entry's id.
static const char *pass(const char *at, int depth) {
    const char *end = memchr(at, '\n', in + length - at);
    if (!end++) return NULL;
    long number = strtol(at + 1, NULL, 10);
    if (*at == '-') die("refused: %.60s", at);
    if (*at == '$') {
        if (number < 0) return end;
        if (in + length - end < number + 2) return NULL;
        if (depth == 4 && found < ids_max && number < id_size) sprintf(ids[found++], "%.*s", (int)number, end);
        return end + number + 2;
    }
    if (*at == '*') {
        for (; end && number > 0; number--) end = pass(end, depth + 1);
    }
    return end;
}

/// Reads one whole reply.
static void hear(void) {
    const char *end;
    for (;;) {
        found = 0;
        end = length ? pass(in, 0) : NULL;
        if (end) break;
        ssize_t n = recv(fd, in + length, in_size - length, 0);
        if (n <= 0) die("read: %s", n ? strerror(errno) : "closed, or too much at once");
        length += n;
    }
    length -= end - in;
    memmove(in, end, length);
}

static void open_group(void) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int one = 1;
    fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof address)) die("connect: %s", strerror(errno));
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    out_length += sprintf(out + out_length, "*5\r\n");
    word("XGROUP"), word("CREATE"), word("jobs"), word("bench"), word("0");
    say();
    hear();
}

int main(int count, char **arguments) {
    for (int option; (option = getopt(count, arguments, "n:w:p:")) != -1;) {
        switch (option) {
        case 'n': entries = number('n', optarg, 1, 100000000); break;
        case 'w': batch = number('w', optarg, 1, ids_max); break;
        case 'p': port = number('p', optarg, 1, 65535); break;
        default: exit(64);
        }
    }
    if (!port) die("usage: redisdrain -p port [-n entries] [-w entries at a time]");
    open_group();
    ask(), say(), hear();
    uint64_t start = now_ns();
    for (long done = 0; done < entries;) {
        if (!found) die("only %ld of %ld entries", done, entries);
        done += found;
        acknowledge();
        int is_more = done < entries;
        if (is_more) ask();
        say();
        hear();
        if (is_more) hear();
    }
    double seconds = (double)(now_ns() - start) * 1e-9;
    printf("{\"messages\":%ld,\"seconds\":%.3f,\"messages_per_s\":%.0f}\n", entries, seconds,
           (double)entries / seconds);
    return 0;
}
