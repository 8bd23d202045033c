// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

#include <librdkafka/rdkafka.h>
#include <sys/eventfd.h>

// Neither the header nor its flags are in the Glibc module.
static inline int maild_wakes_open(void) { return eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC); }
