// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

#include <zlib.h>
