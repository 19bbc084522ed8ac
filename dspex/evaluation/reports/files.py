"""Files that are there whole or not at all."""

from __future__ import annotations

import os
import tempfile
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Generator

__all__ = ("replacing", "write_text")


@contextmanager
def replacing(path: str | os.PathLike[str]) -> Generator[Path]:
    """Give a file to be written beside `path`, which takes its place if the block succeeds.

    Raises:
        OSError: it cannot be written; what was at `path` is untouched.
    """
    wanted = Path(path)
    descriptor, name = tempfile.mkstemp(prefix=f".{wanted.name}.", dir=wanted.parent)
    os.close(descriptor)
    temporary = Path(name)
    try:
        yield temporary
        # mkstemp makes it private; what is asked for by name is as public as other files here.
        temporary.chmod(_mode(wanted))
        temporary.replace(wanted)
    except BaseException:
        with suppress(FileNotFoundError):
            temporary.unlink()

        raise


def write_text(path: str | os.PathLike[str], text: str) -> None:
    """Write a text as UTF-8; what UTF-8 cannot carry, a lone surrogate, as its escape.

    Raises:
        OSError: it cannot be written; what was at `path` is untouched.
    """
    with replacing(path) as file:
        file.write_bytes(text.encode("utf-8", errors="backslashreplace"))


def _mode(path: Path) -> int:
    with suppress(OSError):
        return path.stat().st_mode & 0o777

    return 0o644
