"""One row per example, for spreadsheets and for tools that read columns."""

from __future__ import annotations

import csv
from itertools import islice
from typing import TYPE_CHECKING, Any, Final

from dspex.errors import EvaluationError
from dspex.evaluation.extras import arrow
from dspex.evaluation.reports.files import replacing
from dspex.evaluation.reports.values import plain

if TYPE_CHECKING:
    from collections.abc import Iterator
    from os import PathLike

    from dspex.evaluation.outcome import Outcome
    from dspex.evaluation.report import Report

__all__ = ("COLUMNS", "write_csv", "write_parquet")

COLUMNS: Final = (
    "index",
    "key",
    "status",
    "score",
    "counted",
    "latency_s",
    "error",
    "message",
    "stage",
    "feedback",
    "calls",
    "input_tokens",
    "output_tokens",
    "cost_usd",
    "cache_hits",
    "failed_attempts",
    "retry",
    "correlation_id",
)
"""What every table begins with; the predicted fields follow, as `prediction.<name>`."""

_PREDICTED: Final = "prediction."
_MAX_FIELDS: Final = 200
_GROUP: Final = 5_000
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")


def write_csv(report: Report, path: str | PathLike[str]) -> None:
    """Write a row per outcome as UTF-8 with a byte order mark, which spreadsheets look for.

    A text that a spreadsheet would run as a formula gets an apostrophe in front: what a model
    wrote must not run on the desk of whoever opens the file. `write_parquet` keeps it as it is.

    Raises:
        EvaluationError: the predictions have more than two hundred fields.
        OSError: the file cannot be written.
    """
    names = _predicted(report)
    with (
        replacing(path) as file,
        file.open("w", encoding="utf-8-sig", errors="backslashreplace", newline="") as text,
    ):
        writer = csv.writer(text)
        writer.writerow([*COLUMNS, *map(_harmless, (f"{_PREDICTED}{name}" for name in names))])
        for outcome in report.outcomes:
            writer.writerow(map(_cell, _row(report, outcome, names).values()))


def write_parquet(report: Report, path: str | PathLike[str]) -> None:
    """Write a row per outcome; predicted fields are texts, those that were none as JSON.

    Raises:
        EvaluationError: pyarrow is missing, or the predictions have more than two hundred fields.
        OSError: the file cannot be written.
    """
    library, parquet = arrow()
    names = _predicted(report)
    types = {
        "index": library.int64(),
        "score": library.float64(),
        "counted": library.float64(),
        "latency_s": library.float64(),
        "cost_usd": library.float64(),
        **dict.fromkeys(_COUNTS, library.int64()),
    }
    columns = [*COLUMNS, *(f"{_PREDICTED}{name}" for name in names)]
    schema = library.schema([(name, types.get(name, library.string())) for name in columns])
    with replacing(path) as file, parquet.ParquetWriter(str(file), schema) as writer:
        found = iter(report.outcomes)
        while rows := [_row(report, outcome, names) for outcome in islice(found, _GROUP)]:
            writer.write_table(library.Table.from_pylist(rows, schema=schema))


_COUNTS: Final = (
    "calls",
    "input_tokens",
    "output_tokens",
    "cache_hits",
    "failed_attempts",
    "retry",
)


def _row(report: Report, outcome: Outcome, names: list[str]) -> dict[str, Any]:
    failure, usage, predicted = outcome.failure, outcome.usage, outcome.prediction or {}
    return {
        "index": outcome.index,
        "key": outcome.key,
        "status": str(outcome.status),
        "score": outcome.score,
        "counted": report.columns.score(outcome.index),
        "latency_s": outcome.latency_s,
        "error": _text(failure and failure.error),
        "message": _text(failure and failure.message),
        "stage": _text(failure and str(failure.stage)),
        "feedback": _text(outcome.feedback),
        "calls": usage.calls,
        "input_tokens": usage.input_tokens,
        "output_tokens": usage.output_tokens,
        "cost_usd": None if usage.cost_usd is None else float(usage.cost_usd),
        "cache_hits": usage.cache_hits,
        "failed_attempts": usage.failed_attempts,
        "retry": outcome.retry,
        "correlation_id": outcome.correlation_id,
    } | {f"{_PREDICTED}{name}": _text(predicted.get(name)) for name in names}


def _predicted(report: Report) -> list[str]:
    names = dict.fromkeys(_names(report))
    if len(names) > _MAX_FIELDS:
        raise EvaluationError(
            f"the predictions have {len(names):,} fields, beginning with {list(names)[:3]!r}: more "
            f"than the {_MAX_FIELDS} columns a table can have. Read report.outcomes instead"
        )

    return list(names)


def _names(report: Report) -> Iterator[str]:
    for outcome in report.outcomes:
        yield from outcome.prediction or {}


def _text(value: Any) -> str | None:
    """Return a value as text that UTF-8 can carry; None where there is none."""
    return None if value is None else plain(value).encode(errors="backslashreplace").decode()


def _cell(value: Any) -> Any:
    return _harmless(value) if isinstance(value, str) else value


def _harmless(text: str) -> str:
    return f"'{text}" if text.startswith(_FORMULA) and not _is_number(text) else text


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False

    return True
