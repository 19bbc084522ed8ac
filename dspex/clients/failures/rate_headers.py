"""What the rate-limit headers of a refusal say: how many a minute, and when there is room again.

OpenAI and followers  x-ratelimit-{limit,remaining,reset}-{requests,tokens}, reset as "6m0s", "12ms"
Anthropic             anthropic-ratelimit-{requests,tokens,input-tokens,output-tokens}-{...}, reset
                      as a date of RFC 3339
Cohere and others     x-ratelimit-{limit,remaining,reset}, reset as seconds since the epoch

The time of a reset is when the whole limit is free again, of a daily limit too: it may be hours.
It is a hint for what is used up, and never a wait of more than a minute.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

__all__ = ("RateHint", "read_rate_headers")

_LONGEST_WAIT_S: Final = 60.0
_EPOCH_S: Final = 1e9
"""A number from here on is a time and not a duration: it lies in 2001 or later."""

_SIZES: Final = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3_600.0, "d": 86_400.0}
_PART: Final = re.compile(r"(\d{1,12}(?:\.\d{1,9})?)(ms|s|m|h|d)")
_WHOLE: Final = re.compile(rf"(?:{_PART.pattern})+")
_LIMITS: Final = ("x-ratelimit-limit-requests", "anthropic-ratelimit-requests-limit")
_KINDS: Final = ("requests", "tokens", "input-tokens", "output-tokens")


@dataclass(frozen=True, slots=True)
class RateHint:
    """What a refusal says of the limit behind it; None for what is not said.

    `wait_s` is until what is used up is free again, if that is soon; `requests_per_minute` is the
    limit of requests, and an upper bound where it counts another time than a minute.
    """

    wait_s: float | None = None
    requests_per_minute: float | None = None


def read_rate_headers(headers: Mapping[str, str], *, clock: Callable[[], float]) -> RateHint:
    """Read any headers; what cannot be read is read as missing.

    Args:
        headers: with lower-case names, or with look-ups that ignore case.
        clock: seconds since the epoch, for resets that are times.
    """
    waits = [
        wait_s
        for remaining, reset in _used_up(headers)
        if remaining == 0 and (wait_s := _seconds(reset, clock)) is not None
    ]
    longest = max(waits, default=None)
    limit = next((value for name in _LIMITS if (value := _number(headers.get(name)))), None)
    return RateHint(longest if longest is not None and longest <= _LONGEST_WAIT_S else None, limit)


def _used_up(headers: Mapping[str, str]) -> Iterator[tuple[float | None, str | None]]:
    for kind in _KINDS:
        yield (
            _number(headers.get(f"x-ratelimit-remaining-{kind}")),
            headers.get(f"x-ratelimit-reset-{kind}"),
        )
        yield (
            _number(headers.get(f"anthropic-ratelimit-{kind}-remaining")),
            headers.get(f"anthropic-ratelimit-{kind}-reset"),
        )

    # Without a kind, as Cohere has it: a refusal that gives only the reset means that one.
    remaining = _number(headers.get("x-ratelimit-remaining"))
    yield 0.0 if remaining is None else remaining, headers.get("x-ratelimit-reset")


def _seconds(said: str | None, clock: Callable[[], float]) -> float | None:
    text = (said or "").strip().lower()
    number = _number(text)
    if number is not None:
        return max(0.0, number - clock()) if number >= _EPOCH_S else number

    if _WHOLE.fullmatch(text):
        return sum(float(part) * _SIZES[unit] for part, unit in _PART.findall(text))

    try:
        moment = datetime.fromisoformat(text.upper())
    except ValueError:
        return None

    return None if moment.tzinfo is None else max(0.0, moment.timestamp() - clock())


def _number(text: str | None) -> float | None:
    try:
        value = float(text or "")
    except ValueError:
        return None

    return value if math.isfinite(value) and value >= 0 else None
