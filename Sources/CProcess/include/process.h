// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

// What Swift cannot do itself, vfork(2), and what its Glibc module lacks, pipe2(2), close_range(2) and pidfd_open(2):
// all of it is needed to start a program without racing a fork in another thread.
#ifndef MAILD_PROCESS_H
#define MAILD_PROCESS_H

#include <sys/types.h>

struct process {
  pid_t pid;  // also of its process group
  int input;  // writes to its standard input; -1 once closed
  int output; // reads what it writes to standard output and standard error
  int ended;  // a pidfd(2): readable once it has ended; not waited for yet
};

// Starts `path` with its three standard descriptors and no other, in a process group of its own, all signals at their
// defaults, the soft limit of descriptors at what programs expect. All our ends are non-blocking and close on exec.
// Returns 0 or an errno; then nothing is left open.
int process_start(const char *path, char *const arguments[], char *const environment[], const char *directory,
                  struct process *process);

// 1 once it has ended, 0 before; it stays a zombie, so that its numbers are nobody else's yet.
int process_has_ended(pid_t pid);

#endif
