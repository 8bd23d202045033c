// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0
//
// Loads a submission socket: C connections, each with up to W unanswered lines, N jobs in all. Every answer is
// looked at; an answer that is not {"job":… counts as an error, and a missing one ends the run with status 1.
// With -t noop the jobs are of the kind that does nothing, with -d they are for that many seconds later.
// With -b a connection writes W lines at once, and the next W when all of these are answered.
// Latency runs from the write of a line (with -r: from the time at which it was due) to the read of its answer.

#define _GNU_SOURCE // epoll_pwait2
#include "bench.h"
#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum { answer_head = 7, connections_max = 4096, window_max = 65536, silence_ms_max = 30000 };

struct connection {
    int fd;
    unsigned waiting;       // lines written, not yet answered
    unsigned oldest;        // index in `times` of the oldest of these
    uint64_t *times;        // a ring of `window` entries
    char *out;              // lines that the kernel has not taken yet
    size_t out_length, out_start;
    char head[answer_head]; // the first bytes of the answer being read
    size_t answer_length;
    int wants_write;
};

static const char *path;
static long connection_count = 8, window = 64, jobs = 100000, line_size = 300, rate = 0, delay = 0;
static int in_batches;
static const char *type = "email";
static char *line;          // one job, its number at `digits`
static char *digits;
static const int digit_count = 9;

static int epoll_fd;
static struct connection *connections;
static long sent, answered, errors;
static uint32_t *latencies_us;
static uint64_t start;

/// Prepares a job of exactly `line_size` bytes, newline included.
static void make_line(void) {
    int is_mail = !strcmp(type, "email");
    const char *front = is_mail ? "{\"to\":\"u" : "{\"ref\":\"u";
    const char *middle = is_mail
        ? "@bench.example\",\"from\":\"app@example.org\",\"subject\":\"A measured message\",\"content\":\""
        : "\",\"type\":\"noop\",\"payload\":\"";
    char back[64];
    int back_length = delay ? snprintf(back, sizeof back, "\",\"delay\":%ld}\n", delay)
                            : snprintf(back, sizeof back, "\"}\n");
    size_t least = strlen(front) + strlen(middle) + back_length + digit_count;
    if ((size_t)line_size < least) die("-s: a job has at least %zu bytes", least);
    line = malloc(line_size + 1);
    if (!line) die("no memory");
    int length = snprintf(line, line_size + 1, "%s%0*d%s", front, digit_count, 0, middle);
    digits = line + strlen(front);
    size_t fill = line_size - length - back_length;
    for (size_t i = 0; i < fill; i++) line[length + i] = i % 8 == 7 ? ' ' : 'x';
    memcpy(line + length + fill, back, back_length);
}

static void put_line(struct connection *c, uint64_t time) {
    long value = sent++;
    for (int i = digit_count - 1; i >= 0; i--, value /= 10) digits[i] = (char)('0' + value % 10);
    memcpy(c->out + c->out_length, line, line_size);
    c->out_length += line_size;
    c->times[(c->oldest + c->waiting++) % window] = time;
}

/// The jobs that may have been sent by now.
static long due(uint64_t now) {
    if (!rate) return jobs;
    double by_now = (double)(now - start) * 1e-9 * (double)rate + 1;
    return by_now < (double)jobs ? (long)by_now : jobs;
}

static void watch(struct connection *c, int wants_write) {
    if (c->wants_write == wants_write) return;
    c->wants_write = wants_write;
    struct epoll_event event = {.events = EPOLLIN | (wants_write ? EPOLLOUT : 0), .data.ptr = c};
    if (epoll_ctl(epoll_fd, EPOLL_CTL_MOD, c->fd, &event)) die("epoll_ctl: %s", strerror(errno));
}

/// Fills the window as far as jobs are due, in one write where the kernel takes it.
static void send_more(struct connection *c, uint64_t now) {
    if (c->out_start == c->out_length) {
        c->out_start = c->out_length = 0;
        long may_send = due(now);
        int begins = !in_batches || c->waiting == 0;
        while (begins && c->waiting < window && sent < may_send)
            put_line(c, rate ? start + (uint64_t)((double)sent / (double)rate * 1e9) : now);
    }
    while (c->out_start < c->out_length) {
        ssize_t n = send(c->fd, c->out + c->out_start, c->out_length - c->out_start, MSG_NOSIGNAL);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0 && errno == EAGAIN) break;
        if (n < 0) die("write after %ld jobs: %s", sent, strerror(errno));
        c->out_start += n;
    }
    watch(c, c->out_start < c->out_length);
}

static void answer_ended(struct connection *c, uint64_t now) {
    if (c->waiting == 0) die("an answer too many: \"%.*s…\"", answer_head, c->head);
    if (c->answer_length < answer_head || memcmp(c->head, "{\"job\":", answer_head)) errors++;
    uint64_t took = now - c->times[c->oldest];
    latencies_us[answered++] = took / 1000 > UINT32_MAX ? UINT32_MAX : (uint32_t)(took / 1000);
    c->oldest = (c->oldest + 1) % window;
    c->waiting--;
    c->answer_length = 0;
}

static void take_answers(struct connection *c, const char *bytes, size_t length, uint64_t now) {
    const char *end = bytes + length;
    while (bytes < end) {
        const char *newline = memchr(bytes, '\n', end - bytes);
        size_t part = (newline ? newline : end) - bytes;
        if (c->answer_length < answer_head) {
            size_t room = answer_head - c->answer_length;
            memcpy(c->head + c->answer_length, bytes, part < room ? part : room);
        }
        c->answer_length += part;
        if (!newline) return;
        if (errors == 0 && c->answer_length == part && memcmp(bytes, "{\"job\":", part < 7 ? part : 7))
            fprintf(stderr, "first refusal: %.*s\n", (int)part, bytes);
        answer_ended(c, now);
        bytes = newline + 1;
    }
}

static void receive(struct connection *c) {
    static char bytes[256 * 1024];
    for (;;) {
        ssize_t n = recv(c->fd, bytes, sizeof bytes, 0);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0 && errno == EAGAIN) return;
        if (n < 0) die("read after %ld answers: %s", answered, strerror(errno));
        if (n == 0) die("maild closed a connection after %ld of %ld answers", answered, jobs);
        take_answers(c, bytes, n, now_ns());
        if ((size_t)n < sizeof bytes) return;
    }
}

static void open_connection(struct connection *c) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof address.sun_path) die("the socket's path is too long: %s", path);
    strcpy(address.sun_path, path);
    c->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (c->fd < 0 || connect(c->fd, (struct sockaddr *)&address, sizeof address))
        die("connecting to %s: %s", path, strerror(errno));
    if (fcntl(c->fd, F_SETFL, O_NONBLOCK)) die("fcntl: %s", strerror(errno));
    c->times = calloc(window, sizeof *c->times);
    c->out = malloc((size_t)window * line_size);
    if (!c->times || !c->out) die("no memory");
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = c};
    if (epoll_ctl(epoll_fd, EPOLL_CTL_ADD, c->fd, &event)) die("epoll_ctl: %s", strerror(errno));
}

/// Sleeps until there is an event or the next job is due: a millisecond's granularity would be told as maild's.
static int wait_for_events(struct epoll_event *events, int most) {
    if (!rate || sent >= jobs) return epoll_wait(epoll_fd, events, most, 1000);
    uint64_t next = start + (uint64_t)((double)sent / (double)rate * 1e9), now = now_ns();
    uint64_t left = next > now ? next - now : 0;
    if (left > 1000000000u) left = 1000000000u;
    struct timespec pause = {.tv_sec = (time_t)(left / 1000000000u), .tv_nsec = (long)(left % 1000000000u)};
    return epoll_pwait2(epoll_fd, events, most, &pause, NULL);
}

static void run(void) {
    struct epoll_event events[256];
    uint64_t last_answer = now_ns();
    while (answered < jobs) {
        int count = wait_for_events(events, 256);
        if (count < 0 && errno != EINTR) die("epoll_wait: %s", strerror(errno));
        long before = answered;
        for (int i = 0; i < count; i++) {
            struct connection *c = events[i].data.ptr;
            if (events[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR)) receive(c);
            send_more(c, now_ns());
        }
        uint64_t now = now_ns();
        // A connection in the window's middle has no event of its own when the next job falls due.
        for (long i = 0; rate && i < connection_count && sent < due(now); i++) send_more(&connections[i], now);
        if (answered > before) last_answer = now;
        if (now - last_answer > silence_ms_max * 1000000ull)
            die("no answer for %d s: %ld sent, %ld answered", silence_ms_max / 1000, sent, answered);
    }
}

static int compare(const void *a, const void *b) {
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

static void report(double seconds) {
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    double cpu = (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
                 (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) * 1e-6;
    qsort(latencies_us, answered, sizeof *latencies_us, compare);
    printf("{\"jobs\":%ld,\"answers\":%ld,\"errors\":%ld,\"connections\":%ld,\"window\":%ld,\"line_bytes\":%ld,"
           "\"seconds\":%.3f,\"jobs_per_s\":%.0f,\"p50_ms\":%.3f,\"p99_ms\":%.3f,\"max_ms\":%.3f,\"cpu_s\":%.3f}\n",
           sent, answered, errors, connection_count, window, line_size, seconds, (double)answered / seconds,
           latencies_us[answered / 2] / 1e3, latencies_us[answered * 99 / 100] / 1e3,
           latencies_us[answered - 1] / 1e3, cpu);
}

static void read_options(int count, char **arguments) {
    for (int option; (option = getopt(count, arguments, "bc:w:n:s:r:t:d:")) != -1;) {
        switch (option) {
        case 'c': connection_count = number('c', optarg, 1, connections_max); break;
        case 'w': window = number('w', optarg, 1, window_max); break;
        case 'n': jobs = number('n', optarg, 1, 100000000); break;
        case 's': line_size = number('s', optarg, 1, 64 << 20); break;
        case 'r': rate = number('r', optarg, 1, 100000000); break;
        case 'd': delay = number('d', optarg, 0, 100000000); break;
        case 'b': in_batches = 1; break;
        case 't': type = optarg; break;
        default: exit(64);
        }
    }
    if (strcmp(type, "email") && strcmp(type, "noop")) die("-t: email or noop");
    if (optind != count - 1) {
        fprintf(stderr, "usage: submitload [-c connections] [-w unanswered lines of each [-b]] [-n jobs]"
                        " [-s bytes a line] [-r jobs a second] [-t email|noop] [-d seconds later] SOCKET\n");
        exit(64);
    }
    path = arguments[optind];
}

int main(int count, char **arguments) {
    read_options(count, arguments);
    make_line();
    epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    connections = calloc(connection_count, sizeof *connections);
    latencies_us = calloc(jobs, sizeof *latencies_us);
    if (epoll_fd < 0 || !connections || !latencies_us) die("no memory");
    for (long i = 0; i < connection_count; i++) open_connection(&connections[i]);
    start = now_ns();
    for (long i = 0; i < connection_count; i++) send_more(&connections[i], now_ns());
    run();
    report((double)(now_ns() - start) * 1e-9);
    return errors ? 1 : 0;
}
