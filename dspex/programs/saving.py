"""Programs in files: readable JSON, never code, never secrets.

    {
      "dspex_program": 2,
      "made_with": {"dspex": "0.1.0", "python": "3.13.0"},
      "program": {"path": "module:Class", "arguments": {...}},
      "state": {"predictors": {"draft": {"signature": ..., "demos": [...], ...}}},
      "provenance": {...} or null
    }

Loading imports the named class, calls it with the arguments, and gives each predictor its state. A
client that is an object is not saved (it holds connections and keys); "provider/model" is. Files of
older layouts are read as if they were of this one; those of newer ones are refused.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from anyio import to_thread

from dspex.errors import LoadError
from dspex.programs.files import read_document
from dspex.programs.program import Program

if TYPE_CHECKING:
    import os

__all__ = ("load",)


async def load(path: str | os.PathLike[str]) -> Program:
    """Read a program from a file.

    Import and call only what you trust: the file names the program's class, and its module is
    imported.

    Raises:
        LoadError: the file is missing, cut off, foreign or newer, or its program is not here or has
            another shape now; names the place.
    """
    data = await to_thread.run_sync(read_document, Path(path))
    try:
        return Program.from_parts(data)
    except LoadError as exc:
        raise LoadError(f"{path}: {exc}") from exc
