"""Children that end with their parent: `python -m app.local.child PROGRAM ARGUMENT...` runs a program that does.

Without it, processes whose supervisor was killed would live on, serve old code, and hold the ports of the next start.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1  # of prctl(2)
CLOSING_VARIABLE = "PATCHBAY_CLOSING"  # a file that is there once the server above is about to close its port


def die_with_parent() -> None:
    """Have the kernel send this process SIGTERM when its parent ends. Linux only; elsewhere nothing happens."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


def is_closing() -> bool:
    """Whether the server that this process belongs to is about to close its port."""
    mark = os.environ.get(CLOSING_VARIABLE)
    return bool(mark) and os.path.exists(str(mark))


if __name__ == "__main__":
    die_with_parent()  # kept over exec
    os.execvp(sys.argv[1], sys.argv[1:])
