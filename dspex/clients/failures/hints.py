"""What the headers of an answer say about trying again."""

from __future__ import annotations

import math
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ("retry_after_s", "should_retry")

_LONGEST_S: Final = 7 * 86_400.0


def retry_after_s(headers: Mapping[str, str], *, clock: Callable[[], float]) -> float | None:
    """Return how long to wait, in seconds, or None where nothing sensible is said.

    In the order of precision: `retry-after-ms`, then `Retry-After` as seconds or as a date (RFC
    9110, section 10.2.3). Never negative, never more than a week, whatever was sent.

    Args:
        headers: with lower-case names, or with look-ups that ignore case.
        clock: seconds since the epoch, for dates.
    """
    milliseconds = _number(headers.get("retry-after-ms"))
    if milliseconds is not None:
        return min(milliseconds / 1000.0, _LONGEST_S)

    said = headers.get("retry-after")
    seconds = _number(said)
    if seconds is not None:
        return min(seconds, _LONGEST_S)

    date_s = _date_s(said)
    return None if date_s is None else min(max(0.0, date_s - clock()), _LONGEST_S)


def should_retry(headers: Mapping[str, str]) -> bool | None:
    """Return what `x-should-retry` says, None where it says nothing."""
    return {"true": True, "false": False}.get(headers.get("x-should-retry", "").strip().lower())


def _number(text: str | None) -> float | None:
    try:
        value = float(text or "")
    except ValueError:
        return None

    return value if math.isfinite(value) and value >= 0 else None


def _date_s(text: str | None) -> float | None:
    try:
        date = parsedate_to_datetime(text or "")
        if date.tzinfo is None:
            date = date.replace(tzinfo=UTC)

        return date.timestamp()
    except (ValueError, TypeError, OverflowError, IndexError):
        return None
