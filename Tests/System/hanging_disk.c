/* maild, the mail-job daemon
   SPDX-License-Identifier: Apache-2.0
   Preloaded (LD_PRELOAD): a sync does not return while the file that HANGING_DISK names is there. That a sync has come
   upon it is told by a second file, with .reached behind its name. */

#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

int fdatasync(int file)
{
    const char *path = getenv("HANGING_DISK");
    char reached[4096];
    if (path != NULL && access(path, F_OK) == 0) {
        snprintf(reached, sizeof reached, "%s.reached", path);
        close(open(reached, O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
        while (access(path, F_OK) == 0)
            usleep(1000);
    }
    return (int)syscall(SYS_fdatasync, file);
}
