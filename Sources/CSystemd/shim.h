// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

// The parts of libsystemd that import into Swift as they are: the variadic
// calls (sd_notifyf, sd_journal_send) do not, their plain siblings do.
#include <systemd/sd-daemon.h>
#include <systemd/sd-journal.h>
#include <systemd/sd-id128.h>
