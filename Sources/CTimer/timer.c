// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

#include "timer.h"
#include <errno.h>
#include <stdint.h>
#include <sys/timerfd.h>
#include <unistd.h>

int timer_of_wall_clock(void) { return timerfd_create(CLOCK_REALTIME, TFD_CLOEXEC); }

int timer_wait_for_set_clock(int timer) {
  struct itimerspec never = {.it_value = {.tv_sec = (time_t)1 << 40}};
  // Armed anew for each wait: a timer that was cancelled is cancelled until then.
  if (timerfd_settime(timer, TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET, &never, NULL))
    return errno == ECANCELED ? 1 : -1;
  uint64_t expirations;
  if (read(timer, &expirations, sizeof expirations) >= 0)
    return 0;
  return errno == ECANCELED ? 1 : errno == EINTR ? 0 : -1;
}
