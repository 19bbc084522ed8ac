"""Where the outcomes of a run go, from what its caller says."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeAlias

from dspex.errors import EvaluationError
from dspex.evaluation.run_file import Resumable, RunFile

if TYPE_CHECKING:
    from dspex.evaluation.sink import Sink

__all__ = ("SUFFIX", "sink_for")

SUFFIX: Final = ".run"
"""What the names of run files end with."""

_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")

_Found: TypeAlias = "tuple[Sink | None, str | None]"


def sink_for(sink: Sink | str | os.PathLike[str] | None, run_id: str | None) -> _Found:
    """Return the sink, and the name of the run if it can be resumed.

    A folder becomes the run's file in it. A RunFile without a `run_id` is named by its file.

    Raises:
        EvaluationError: it is no sink, or the run has a name and no place to be resumed from.
    """
    if run_id is not None and not _is_name(run_id):
        raise EvaluationError(
            f"run_id is {run_id!r}; use up to 100 letters, digits, '.', '_' and '-', the first a "
            "letter or digit: it names a file"
        )

    if isinstance(sink, (str, os.PathLike)):
        if run_id is None:
            raise EvaluationError(
                f"the sink is the folder {os.fspath(sink)!r}: name the run in it with run_id=..., "
                "or give a sink that is one file, such as JsonlSink(path)"
            )

        return RunFile(Path(sink) / f"{run_id}{SUFFIX}"), run_id

    if sink is not None and not (hasattr(sink, "put") and hasattr(sink, "close")):
        raise EvaluationError(
            f"the sink is {sink!r}: give a folder and a run_id, or a sink with `put` and `close`, "
            "such as JsonlSink(path)"
        )

    if isinstance(sink, Resumable):
        return sink, run_id or _name_of(sink)

    if run_id is not None:
        raise EvaluationError(
            f"run_id={run_id!r} has no place to be resumed from: give a folder, as in sink='runs', "
            f"or sink=RunFile(path); the sink is {sink!r}"
        )

    return sink, None


def _is_name(run_id: object) -> bool:
    return isinstance(run_id, str) and _NAME.fullmatch(run_id) is not None


def _name_of(sink: Resumable) -> str:
    return sink.path.stem if isinstance(sink, RunFile) else type(sink).__name__
