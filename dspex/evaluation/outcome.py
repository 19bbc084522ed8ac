"""What became of one example, as plain data.

Three ends are kept apart. `scored`: the program answered and the metric judged it. `failed`: the
program or the metric was wrong, or time ran out while it was computing. `unavailable`: a provider,
a limit or a budget stood in the way, which says nothing about the program.
"""

from __future__ import annotations

import json
from dataclasses import KW_ONLY, dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final, cast

import orjson
from pydantic import BaseModel

from dspex.errors import ErrorData
from dspex.usage import Usage

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ("Failure", "Outcome", "Stage", "Status")

_NO_USAGE: Final = Usage()

_SLOW: Final = b" "
"""At its end a line shows that only the standard library's reader gives back what was written."""


class Status(StrEnum):
    """How the run of one example ended."""

    SCORED = "scored"
    FAILED = "failed"
    UNAVAILABLE = "unavailable"


class Stage(StrEnum):
    """Whose work was under way when an example failed."""

    PROGRAM = "program"
    METRIC = "metric"
    EXECUTOR = "executor"


@dataclass(frozen=True, slots=True)
class Failure:
    """Why an example has no score: the error's class, its message, and whose error it was.

    `where` is the line that raised, `data` the facts of a failed model call, where there was one.
    """

    error: str
    message: str
    _: KW_ONLY
    stage: Stage = Stage.PROGRAM
    where: str | None = None
    data: ErrorData | None = None

    def __str__(self) -> str:
        return f"{self.error}: {self.message}" if self.message else self.error

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON data."""
        row: dict[str, Any] = {
            "error": self.error,
            "message": self.message,
            "stage": str(self.stage),
        }
        if self.where is not None:
            row["where"] = self.where

        if self.data is not None:
            row["data"] = self.data.to_dict()

        return row

    @classmethod
    def from_dict(cls, row: dict[str, Any]) -> Failure:
        """Rebuild from `to_dict`."""
        data = row.get("data")
        return cls(
            row["error"],
            row["message"],
            stage=Stage(row["stage"]),
            where=row.get("where"),
            data=None if data is None else ErrorData.from_dict(data),
        )


@dataclass(frozen=True, slots=True)
class Outcome:
    """The result of one example.

    `key` names the example in every run over the same dataset: a digest of the example and of its
    index, 16 hexadecimal digits. `score` is None unless the example was scored; what a failure is
    worth is the report's business. `latency_s` and `usage` cover the program and the metric.
    `correlation_id` finds the run in logs and spans. `retry` counts how often the example was run
    again because it had been unavailable.

    Where each example is run in several epochs, a sink gets one outcome for each, numbered by
    `epoch`. A report shows the example as a whole: `epochs` holds the outcomes of its epochs,
    `score` what they were reduced to, `usage` their sum, `latency_s` their mean; the rest is that
    of the first epoch that ended as the whole did.
    """

    index: int
    key: str
    status: Status
    _: KW_ONLY
    score: float | None = None
    prediction: dict[str, Any] | None = None
    failure: Failure | None = None
    latency_s: float = 0.0
    usage: Usage = _NO_USAGE
    feedback: str | None = None
    correlation_id: str = ""
    retry: int = 0
    epoch: int = 0
    epochs: tuple[Outcome, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON data without what is empty; predicted values stand as they are."""
        row: dict[str, Any] = {
            "index": self.index,
            "key": self.key,
            "status": self.status.value,
            "latency_s": self.latency_s,
        }
        if self.score is not None:
            row["score"] = self.score

        if self.prediction is not None:
            row["prediction"] = self.prediction

        if self.failure is not None:
            row["failure"] = self.failure.to_dict()

        if self.usage is not _NO_USAGE and self.usage != _NO_USAGE:
            row["usage"] = self.usage.to_dict()

        if self.feedback is not None:
            row["feedback"] = self.feedback

        if self.correlation_id:
            row["correlation_id"] = self.correlation_id

        if self.retry:
            row["retry"] = self.retry

        if self.epoch:
            row["epoch"] = self.epoch

        if self.epochs:
            row["epochs"] = [outcome.to_dict() for outcome in self.epochs]

        return row

    @classmethod
    def from_dict(cls, row: dict[str, Any]) -> Outcome:
        """Rebuild from `to_dict`; unknown keys are ignored."""
        failure, usage = row.get("failure"), row.get("usage")
        return cls(
            row["index"],
            row["key"],
            Status(row["status"]),
            score=row.get("score"),
            prediction=row.get("prediction"),
            failure=None if failure is None else Failure.from_dict(failure),
            latency_s=row["latency_s"],
            usage=_NO_USAGE if usage is None else Usage.from_dict(usage),
            feedback=row.get("feedback"),
            correlation_id=row.get("correlation_id", ""),
            retry=row.get("retry", 0),
            epoch=row.get("epoch", 0),
            epochs=tuple(map(cls.from_dict, row.get("epochs", ()))),
        )

    def to_json(self) -> bytes:
        """Return one line of JSON, whatever the program answered.

        A predicted value that JSON has no form for is written as its text.
        """
        row = self.to_dict()
        try:
            return orjson.dumps(row, default=_plain, option=orjson.OPT_NON_STR_KEYS)
        except (TypeError, RecursionError):
            return _dump_slowly(row)

    @classmethod
    def from_json(cls, line: bytes) -> Outcome:
        """Rebuild from `to_json`; raise ValueError, KeyError or TypeError if it is none."""
        row = json.loads(line) if line.rstrip(b"\n").endswith(_SLOW) else orjson.loads(line)
        if not isinstance(row, dict):
            raise TypeError(f"not an outcome: {row!r}")

        return cls.from_dict(cast("dict[str, Any]", row))


def _plain(value: object) -> object:
    if isinstance(value, BaseModel):
        return _shown(lambda: value.model_dump(mode="json"))

    return _shown(lambda: str(value))


def _shown(show: Callable[[], object]) -> object:
    try:
        return show()
    except (Exception, SystemExit) as exc:  # one value must not cost the outcome, or the run
        return f"<cannot be shown: {type(exc).__name__}>"


def _dump_slowly(row: dict[str, Any]) -> bytes:
    # Integers of more than 64 bits, text that UTF-8 cannot carry, keys that are no keys, loops.
    try:
        text = json.dumps(row, default=_plain)
    except (TypeError, ValueError, RecursionError):
        text = json.dumps(
            {**row, "prediction": {"repr": _shown(lambda: repr(row.get("prediction")))}}
        )

    return text.encode() + _SLOW
