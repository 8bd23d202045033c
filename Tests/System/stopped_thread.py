# maild, the mail-job daemon
# SPDX-License-Identifier: Apache-2.0
"""Stops one thread of a process while the others go on, as a deadlock would: by ptrace(2)."""

import ctypes
import os
from contextlib import contextmanager
from pathlib import Path

PTRACE_SEIZE, PTRACE_INTERRUPT, PTRACE_DETACH = 0x4206, 0x4207, 17
WALL = 0x40000000

libc = ctypes.CDLL(None, use_errno=True)
libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
libc.ptrace.restype = ctypes.c_long


def ptrace(request, thread):
    if libc.ptrace(request, thread, None, None) < 0:
        raise OSError(ctypes.get_errno(), f"ptrace({request:#x}, {thread})")


def threads(process):
    """(number, name) of each."""
    return [(int(task.name), (task / "comm").read_text().strip()) for task in Path(f"/proc/{process}/task").iterdir()]


@contextmanager
def stopped(thread):
    ptrace(PTRACE_SEIZE, thread)
    ptrace(PTRACE_INTERRUPT, thread)
    os.waitpid(thread, WALL)
    try:
        yield
    finally:
        ptrace(PTRACE_DETACH, thread)
