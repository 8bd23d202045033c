// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

#define _GNU_SOURCE
#include "process.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/pidfd.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

// select(2) knows no descriptor above it: what systemd and the kernel leave as the soft limit for that reason.
#define FILES_SOFT 1024

static void close_both(int ends[2]) {
  close(ends[0]);
  close(ends[1]);
}

// 0 or an errno.
static int prepare(posix_spawn_file_actions_t *actions, posix_spawnattr_t *attributes, int input, int output,
                   const char *directory) {
  sigset_t none, all;
  int error;
  sigemptyset(&none);
  sigfillset(&all);
  // dup2 clears the copies' close-on-exec; closefrom is for descriptors that others opened without it.
  if ((error = posix_spawn_file_actions_adddup2(actions, input, 0)) ||
      (error = posix_spawn_file_actions_adddup2(actions, output, 1)) ||
      (error = posix_spawn_file_actions_adddup2(actions, output, 2)) ||
      (error = posix_spawn_file_actions_addclosefrom_np(actions, 3)) ||
      (error = posix_spawn_file_actions_addchdir_np(actions, directory)) ||
      (error = posix_spawnattr_setpgroup(attributes, 0)) ||
      (error = posix_spawnattr_setsigmask(attributes, &none)) ||
      (error = posix_spawnattr_setsigdefault(attributes, &all)))
    return error;
  return posix_spawnattr_setflags(attributes, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
}

static int spawn(const char *path, char *const arguments[], char *const environment[], const char *directory,
                 int input, int output, pid_t *pid) {
  posix_spawn_file_actions_t actions;
  posix_spawnattr_t attributes;
  int error = posix_spawn_file_actions_init(&actions);
  if (error) return error;
  error = posix_spawnattr_init(&attributes);
  if (!error) {
    error = prepare(&actions, &attributes, input, output, directory);
    if (!error) error = posix_spawn(pid, path, &actions, &attributes, arguments, environment);
    posix_spawnattr_destroy(&attributes);
  }
  posix_spawn_file_actions_destroy(&actions);
  return error;
}

// Where we may not set it (a program of another user's), it stays as it is.
static void lower_limit(pid_t pid) {
  struct rlimit limit;
  if (prlimit(pid, RLIMIT_NOFILE, NULL, &limit) == 0 && limit.rlim_cur > FILES_SOFT) {
    limit.rlim_cur = FILES_SOFT;
    prlimit(pid, RLIMIT_NOFILE, &limit, NULL);
  }
}

int process_start(const char *path, char *const arguments[], char *const environment[], const char *directory,
                  struct process *process) {
  int input[2], output[2], error;
  if (pipe2(input, O_CLOEXEC)) return errno;
  if (pipe2(output, O_CLOEXEC)) {
    error = errno;
    close_both(input);
    return error;
  }
  error = spawn(path, arguments, environment, directory, input[0], output[1], &process->pid);
  close(input[0]);
  close(output[1]);
  if (!error) {
    lower_limit(process->pid);
    process->ended = pidfd_open(process->pid, 0);
    if (process->ended < 0) {
      error = errno;
      kill(-process->pid, SIGKILL);
      waitpid(process->pid, NULL, 0);
    }
  }
  if (error) {
    close(input[1]);
    close(output[0]);
    return error;
  }
  // Of our ends alone: a pipe's two ends have flags of their own.
  fcntl(input[1], F_SETFL, O_NONBLOCK);
  fcntl(output[0], F_SETFL, O_NONBLOCK);
  process->input = input[1];
  process->output = output[0];
  return 0;
}

int process_has_ended(pid_t pid) {
  siginfo_t info = {.si_pid = 0};
  return waitid(P_PID, pid, &info, WEXITED | WNOHANG | WNOWAIT) == 0 && info.si_pid == pid;
}
