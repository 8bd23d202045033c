// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0
//
// An SMTP server that takes everything and keeps nothing, faster than what it measures. With -d each message's last
// reply comes so many milliseconds late, as from a server far away. It counts what it has taken, and prints the
// counts at SIGUSR1 and at its end (SIGTERM, SIGINT).

#define _GNU_SOURCE // accept4
#include "bench.h"
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stddef.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <unistd.h>

enum { in_size = 128 * 1024, out_size = 64 * 1024, out_reserve = 256, command_bytes_max = 4096 };

struct connection {
    int fd;
    int in_data;      // between DATA's 354 and the line with one dot
    int matched;      // how many bytes of CR LF . CR LF the data has ended with so far
    int quitting, wants_write;
    uint64_t due;     // when the message's reply may leave; 0 while none is held back
    struct connection *next_due;
    size_t in_length, out_length;
    char in[in_size], out[out_size];
};

static int epoll_fd, listener;
static long delay_ms;
static const char *count_file;
static unsigned long messages, recipients, sessions, bytes_read;
static struct connection *first_due, *last_due;

static void print_counts(void) {
    FILE *file = count_file ? fopen(count_file, "w") : stdout;
    if (!file) die("%s: %s", count_file, strerror(errno));
    fprintf(file, "{\"messages\":%lu,\"recipients\":%lu,\"connections\":%lu,\"bytes\":%lu}\n", messages, recipients,
            sessions, bytes_read);
    if (count_file) fclose(file);
    else fflush(file);
}

static void reply(struct connection *c, const char *text) {
    size_t length = strlen(text);
    memcpy(c->out + c->out_length, text, length);
    c->out_length += length;
}

static void message_ended(struct connection *c) {
    c->in_data = 0;
    messages++;
    if (!delay_ms) {
        reply(c, "250 2.0.0 Ok\r\n");
        return;
    }
    c->due = now_ns() + (uint64_t)delay_ms * 1000000u; // equal delays: whoever comes first is due first
    c->next_due = NULL;
    if (last_due) last_due->next_due = c;
    else first_due = c;
    last_due = c;
}

static int is(const char *command, size_t length, const char *verb) {
    return length >= strlen(verb) && !strncasecmp(command, verb, strlen(verb));
}

static void obey(struct connection *c, const char *command, size_t length) {
    if (is(command, length, "MAIL")) {
        reply(c, "250 2.1.0 Ok\r\n");
    } else if (is(command, length, "RCPT")) {
        recipients++;
        reply(c, "250 2.1.5 Ok\r\n");
    } else if (is(command, length, "DATA")) {
        c->in_data = 1;
        c->matched = 2; // the line before has ended: a dot may come first
        reply(c, "354 End data with <CR><LF>.<CR><LF>\r\n");
    } else if (is(command, length, "EHLO")) {
        reply(c, "250-sink\r\n250-PIPELINING\r\n250-8BITMIME\r\n250-SIZE 104857600\r\n250 ENHANCEDSTATUSCODES\r\n");
    } else if (is(command, length, "QUIT")) {
        c->quitting = 1;
        reply(c, "221 2.0.0 Bye\r\n");
    } else {
        reply(c, "250 2.0.0 Ok\r\n");
    }
}

/// Reads data up to its end; returns how many of the bytes were used.
static size_t take_data(struct connection *c, const char *bytes, size_t length) {
    static const char ending[] = "\r\n.\r\n";
    size_t at = 0;
    while (at < length) {
        if (c->matched == 0) {
            const char *cr = memchr(bytes + at, '\r', length - at);
            if (!cr) return length;
            at = cr - bytes;
        }
        if (bytes[at] == ending[c->matched]) {
            at++;
            if (++c->matched == 5) {
                message_ended(c);
                return at;
            }
        } else if (bytes[at] == '\r') {
            c->matched = 1;
            at++;
        } else {
            c->matched = 0;
            at++;
        }
    }
    return at;
}

/// Obeys what has arrived, until something is missing, the output is full or a reply is held back. Returns the number
/// of bytes used.
static size_t work(struct connection *c) {
    size_t at = 0;
    while (at < c->in_length && !c->due && !c->quitting && c->out_length + out_reserve <= out_size) {
        if (c->in_data) {
            at += take_data(c, c->in + at, c->in_length - at);
            continue;
        }
        const char *newline = memchr(c->in + at, '\n', c->in_length - at);
        if (!newline) break;
        size_t length = newline - (c->in + at);
        obey(c, c->in + at, length);
        at += length + 1;
    }
    c->in_length -= at;
    memmove(c->in, c->in + at, c->in_length);
    return at;
}

static void forget(struct connection *c) {
    for (struct connection **link = &first_due, *before = NULL; *link; before = *link, link = &(*link)->next_due) {
        if (*link != c) continue;
        *link = c->next_due;
        if (last_due == c) last_due = before;
        break;
    }
    close(c->fd);
    free(c);
}

/// Writes what is there. Returns 0 when the connection has ended and is freed.
static int flush_replies(struct connection *c) {
    size_t at = 0;
    while (at < c->out_length) {
        ssize_t n = send(c->fd, c->out + at, c->out_length - at, MSG_NOSIGNAL);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0 && errno == EAGAIN) break;
        if (n < 0) return forget(c), 0;
        at += n;
    }
    c->out_length -= at;
    memmove(c->out, c->out + at, c->out_length);
    if (c->quitting && c->out_length == 0) return forget(c), 0;
    int wants_write = c->out_length > 0;
    if (wants_write != c->wants_write) {
        c->wants_write = wants_write;
        struct epoll_event event = {.events = EPOLLIN | (wants_write ? EPOLLOUT : 0), .data.ptr = c};
        epoll_ctl(epoll_fd, EPOLL_CTL_MOD, c->fd, &event);
    }
    return 1;
}

/// Works and answers until nothing moves: once the output has room again, input that was left is taken up.
static void advance(struct connection *c) {
    size_t used;
    do {
        used = work(c);
        if (!flush_replies(c)) return;
    } while (used > 0);
}

static void serve(struct connection *c) {
    // What a held-back reply left unread fills the buffer at most; the kernel keeps the rest.
    if (c->in_length < in_size) {
        ssize_t n = recv(c->fd, c->in + c->in_length, in_size - c->in_length, 0);
        if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR)) {
            forget(c);
            return;
        }
        if (n > 0) {
            c->in_length += n;
            bytes_read += n;
        }
    }
    if (!c->in_data && !c->due && c->in_length > command_bytes_max && !memchr(c->in, '\n', c->in_length))
        forget(c); // a command without an end
    else
        advance(c);
}

static void greet(void) {
    int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0) return;
    struct connection *c = malloc(sizeof *c);
    if (!c) die("no memory");
    memset(c, 0, offsetof(struct connection, in));
    c->fd = fd;
    int one = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = c};
    if (epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event)) die("epoll_ctl: %s", strerror(errno));
    sessions++;
    reply(c, "220 sink ESMTP\r\n");
    flush_replies(c);
}

/// Sends the replies whose time has come; returns the milliseconds to the next, or -1.
static int settle_due(void) {
    uint64_t now = now_ns();
    while (first_due && first_due->due <= now) {
        struct connection *c = first_due;
        first_due = c->next_due;
        if (!first_due) last_due = NULL;
        c->next_due = NULL;
        c->due = 0;
        reply(c, "250 2.0.0 Ok\r\n");
        advance(c);
    }
    return first_due ? (int)((first_due->due - now) / 1000000u) + 1 : -1;
}

static void listen_on(long port) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t length = sizeof address;
    int one = 1;
    listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (listener < 0 || bind(listener, (struct sockaddr *)&address, length) || listen(listener, 4096) ||
        getsockname(listener, (struct sockaddr *)&address, &length))
        die("127.0.0.1:%ld: %s", port, strerror(errno));
    printf("listening on 127.0.0.1:%d\n", ntohs(address.sin_port));
    fflush(stdout);
}

static int open_signals(void) {
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGUSR1);
    sigprocmask(SIG_BLOCK, &set, NULL);
    return signalfd(-1, &set, SFD_CLOEXEC);
}

static void watch(int fd, void *name) {
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = name};
    if (fd < 0 || epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event)) die("epoll_ctl: %s", strerror(errno));
}

/// Returns 0 at a signal that ends the sink.
static int heed_signal(int signals) {
    struct signalfd_siginfo info;
    if (read(signals, &info, sizeof info) != sizeof info) die("signalfd: %s", strerror(errno));
    print_counts();
    return info.ssi_signo == SIGUSR1;
}

static long read_options(int count, char **arguments) {
    long port = 0;
    for (int option; (option = getopt(count, arguments, "p:d:u:")) != -1;) {
        switch (option) {
        case 'p': port = number('p', optarg, 0, 65535); break;
        case 'd': delay_ms = number('d', optarg, 0, 60000); break;
        case 'u': count_file = optarg; break;
        default:
            fprintf(stderr, "usage: sink [-p port] [-d milliseconds a message] [-u FILE for the counts]\n");
            exit(64);
        }
    }
    return port;
}

int main(int count, char **arguments) {
    static int signals_name, listener_name;
    long port = read_options(count, arguments);
    epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    int signals = open_signals();
    listen_on(port);
    watch(signals, &signals_name);
    watch(listener, &listener_name);
    for (int timeout = -1;; timeout = settle_due()) {
        struct epoll_event events[256];
        int ready = epoll_wait(epoll_fd, events, 256, timeout);
        if (ready < 0 && errno != EINTR) die("epoll_wait: %s", strerror(errno));
        for (int i = 0; i < ready; i++) {
            void *name = events[i].data.ptr;
            if (name == &listener_name) greet();
            else if (name != &signals_name) serve(name);
            else if (!heed_signal(signals)) return 0;
        }
    }
}
