/* maild, the mail-job daemon
   SPDX-License-Identifier: Apache-2.0
   Preloaded (LD_PRELOAD): the wall clock goes by as many seconds more as CLOCK_JUMP_FILE says, a number of eight bytes
   that may change at any time. The monotonic clock is left alone. */

#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static volatile int64_t *jump;

__attribute__((constructor)) static void map_jump(void)
{
    const char *path = getenv("CLOCK_JUMP_FILE");
    int fd = path == NULL ? -1 : open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return;
    void *place = mmap(NULL, sizeof(int64_t), PROT_READ, MAP_SHARED, fd, 0);
    if (place != MAP_FAILED)
        jump = place;
    close(fd);
}

int clock_gettime(clockid_t clock, struct timespec *now)
{
    int status = (int)syscall(SYS_clock_gettime, clock, now);
    if (status == 0 && jump != NULL && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE))
        now->tv_sec += *jump;
    return status;
}
