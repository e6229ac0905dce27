"""A child that ends when its parent ends (Linux), so that a killed demo leaves nothing behind."""

from __future__ import annotations

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1


def die_with_parent() -> None:
    """Ask the kernel for SIGTERM when the parent dies; exit at once if it is already dead.

    The signal follows the parent's *thread* (prctl(2)): start the process from a thread that lives as long as
    the parent does. Elsewhere than on Linux this does nothing.
    """
    if sys.platform != "linux":
        return
    parent = os.getppid()
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG)")
    # Between the fork and the call above the parent may have died: the signal would then never come.
    if os.getppid() != parent or parent == 1:
        sys.exit(0)
