// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0
//
// Runs a command N times, P at a time, each with the same file on its standard input: what it costs an app to hand
// over mail by a program such as sendmail. A command that ends with another status than 0 ends the run.

#define _GNU_SOURCE // execvpe's kin in spawn.h
#include "bench.h"
#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

static long runs = 100, at_once = 1;
static const char *input = "/dev/null";

static void start_one(char **command) {
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, input, O_RDONLY, 0);
    pid_t pid;
    int error = posix_spawnp(&pid, command[0], &actions, NULL, command, environ);
    if (error) die("%s: %s", command[0], strerror(error));
    posix_spawn_file_actions_destroy(&actions);
}

static void end_one(char **command) {
    int status;
    if (wait(&status) < 0) die("wait: %s", strerror(errno));
    if (status) die("%s ended with status %d", command[0], WIFEXITED(status) ? WEXITSTATUS(status) : -status);
}

int main(int count, char **arguments) {
    for (int option; (option = getopt(count, arguments, "+n:p:i:")) != -1;) {
        switch (option) {
        case 'n': runs = number('n', optarg, 1, 100000000); break;
        case 'p': at_once = number('p', optarg, 1, 1024); break;
        case 'i': input = optarg; break;
        default: exit(64);
        }
    }
    if (optind == count) die("usage: spawnload [-n runs] [-p at once] [-i input] COMMAND…");
    char **command = arguments + optind;
    uint64_t start = now_ns();
    long running = 0;
    for (long started = 0; started < runs || running > 0;) {
        if (started < runs && running < at_once) {
            start_one(command);
            started++, running++;
        } else {
            end_one(command);
            running--;
        }
    }
    double seconds = (double)(now_ns() - start) * 1e-9;
    printf("{\"runs\":%ld,\"at_once\":%ld,\"seconds\":%.3f,\"runs_per_s\":%.1f}\n", runs, at_once, seconds,
           (double)runs / seconds);
    return 0;
}
