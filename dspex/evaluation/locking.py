"""One writer to a file: a lock that goes when its process goes, however that ends."""

from __future__ import annotations

import os
import sys
from typing import Final

__all__ = ("try_lock",)

_FAR_BEYOND: Final = 1 << 62
"""Where the byte stands that is locked on Windows, whose locks also keep readers out."""


def try_lock(fd: int) -> bool:
    """Lock an open file against every other opening of it; tell whether that worked.

    The lock is the system's, so that a killed process leaves none behind. On network file systems
    it is as good as theirs.
    """
    if sys.platform == "win32":
        import msvcrt

        os.lseek(fd, _FAR_BEYOND, os.SEEK_SET)
        try:
            msvcrt.locking(fd, msvcrt.LK_NBLCK, 1)
        except OSError:
            return False

        return True

    import fcntl

    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False

    return True
