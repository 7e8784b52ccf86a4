"""Becomes ``ray start``, after asking the kernel to end it with its parent.

Run as ``python -m api.ray_head PARENT_PID ARGUMENTS...``. A separate program, because code that
runs in a forked child of a process with threads may deadlock before it gets to ``exec``.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1


def main() -> None:
    parent = int(sys.argv[1])
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    # The parent may have died before the call above.
    if os.getppid() != parent:
        sys.exit(f"parent process {parent} is gone")
    command = [sys.executable, "-m", "ray.scripts.scripts", "start", *sys.argv[2:]]
    os.execv(sys.executable, command)


if __name__ == "__main__":
    main()
