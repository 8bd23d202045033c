// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0
