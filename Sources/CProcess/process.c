// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

#define _GNU_SOURCE
#include "process.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
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

// In the child, before the program: returns only where it cannot be started, with an errno. It shares our memory, so it
// calls nothing that is not safe in a signal's handler.
static int become(const char *path, char *const arguments[], char *const environment[], const char *directory,
                  int input, int output) {
  struct sigaction usual = {.sa_handler = SIG_DFL};
  struct rlimit limit;
  sigset_t none;
  for (int signal = 1; signal < NSIG; signal++) sigaction(signal, &usual, NULL);
  // Where it may not be lowered it stays as it is.
  if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur > FILES_SOFT) {
    limit.rlim_cur = FILES_SOFT;
    setrlimit(RLIMIT_NOFILE, &limit);
  }
  if (setpgid(0, 0) || chdir(directory)) return errno;
  // dup2 clears the copies' close-on-exec; the range is for descriptors that others opened without it.
  if (dup2(input, 0) < 0 || dup2(output, 1) < 0 || dup2(output, 2) < 0) return errno;
  if (close_range(3, ~0U, 0)) return errno;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, NULL);
  execve(path, arguments, environment);
  return errno;
}

// vfork(2), as posix_spawn(3) itself has it: we wait until the child is the program. posix_spawn knows no limits, and
// one that is set from here comes too late for a program that is quick.
static int spawn(const char *path, char *const arguments[], char *const environment[], const char *directory,
                 int input, int output, pid_t *pid) {
  volatile int failure = 0;
  sigset_t all, before;
  sigfillset(&all);
  // No handler of ours may run in the child.
  pthread_sigmask(SIG_SETMASK, &all, &before);
  pid_t child = vfork();
  if (child == 0) {
    failure = become(path, arguments, environment, directory, input, output);
    _exit(127);
  }
  int error = child < 0 ? errno : failure;
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  if (child > 0 && error) waitpid(child, NULL, 0);
  *pid = child;
  return error;
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
