"""One writer to a file, and none left behind."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from dspex.evaluation.locking import try_lock

HOLD = """
import os, sys, time
from dspex.evaluation.locking import try_lock
fd = os.open(sys.argv[1], os.O_RDWR)
print(try_lock(fd), flush=True)
sys.stdin.read()
"""


def opened(path: Path) -> int:
    """Open a file once more."""
    return os.open(path, os.O_RDWR | os.O_CREAT)


def test_second_opening_is_refused(tmp_path: Path) -> None:
    """In the same process too; and when the first is closed the next one gets it."""
    first, second = opened(tmp_path / "f"), opened(tmp_path / "f")
    try:
        assert try_lock(first)
        assert not try_lock(second)
        os.close(first)
        first = -1
        assert try_lock(second)
    finally:
        for fd in (first, second):
            if fd >= 0:
                os.close(fd)


def test_a_killed_process_leaves_no_lock(tmp_path: Path) -> None:
    """The system takes the lock back, however the holder ends."""
    path = tmp_path / "f"
    path.touch()
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[3],
    )
    with holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "True\n"
        fd = opened(path)
        try:
            assert not try_lock(fd)
            holder.kill()
            holder.wait()
            assert try_lock(fd)
        finally:
            os.close(fd)
