"""What a running program tells whoever listens to it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

from dspex.signatures.prediction import Prediction

__all__ = (
    "FieldChunk",
    "ProgramStatus",
    "Retracted",
    "Status",
    "StreamItem",
    "Switched",
    "ToolStatus",
)

Status: TypeAlias = Literal["start", "stop", "error"]


@dataclass(frozen=True, slots=True)
class FieldChunk:
    """More text of one output field of one predictor.

    `predictor` is its path below the program that is streamed, "self" for that program itself; a
    part that runs several times at once has the number of the run in its path.
    """

    predictor: str
    field: str
    text: str


@dataclass(frozen=True, slots=True)
class Retracted:
    """What came from this predictor so far is void: its answer is asked for once more."""

    predictor: str
    reason: str


@dataclass(frozen=True, slots=True)
class ProgramStatus:
    """A program below the one that is streamed has started, ended, or failed."""

    path: str
    program: str
    status: Status


@dataclass(frozen=True, slots=True)
class ToolStatus:
    """A tool has been called, has answered, or has failed; `detail` is its arguments or its end."""

    path: str
    tool: str
    status: Status
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Switched:
    """A monitor has ended one program for `reason` and goes on with another, from its beginning."""

    reason: str
    source: str
    target: str


StreamItem: TypeAlias = FieldChunk | Retracted | ProgramStatus | ToolStatus | Switched | Prediction
"""What a stream of a program yields; the Prediction comes once, last."""
