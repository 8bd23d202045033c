# maild, the mail-job daemon
# SPDX-License-Identifier: Apache-2.0
"""What people use today, each started from nothing in a directory of its own and stopped again."""
