// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

// timerfd_create(2), which Swift's Glibc module lacks, and no more of its header: that would bring C's times along a
// second time, under another module's name.
#ifndef MAILD_TIMER_H
#define MAILD_TIMER_H

// A timer of the wall clock that never ends by itself; -1 where there is none.
int timer_of_wall_clock(void);

// Sleeps until somebody sets the wall clock: 1 then, 0 where it was woken for nothing, -1 where the timer is of no use.
int timer_wait_for_set_clock(int timer);

#endif
