"""How requests are gathered into batches, and how often is asked after them."""

from __future__ import annotations

import math
from dataclasses import KW_ONLY, dataclass

__all__ = ("BatchSettings",)


@dataclass(frozen=True, slots=True)
class BatchSettings:
    """A batch is sent when it has `max_requests` or `max_bytes`, or its first waits `max_wait_s`.

    The providers take 50,000 requests of 200 MB (OpenAI) or 100,000 of 256 MB (Anthropic). Whether
    it has ended is asked after `poll_s`, then ever less often, up to every `max_poll_s`. A call
    waits for `call_timeout_s` unless it says otherwise: a little longer than the day in which the
    providers promise an answer or an end.
    """

    _: KW_ONLY
    max_requests: int = 10_000
    max_bytes: int = 100 * 1024 * 1024
    max_wait_s: float = 5.0
    poll_s: float = 5.0
    max_poll_s: float = 60.0
    call_timeout_s: float = 90_000.0

    def __post_init__(self) -> None:
        for name in ("max_requests", "max_bytes", "poll_s", "max_poll_s", "call_timeout_s"):
            value = getattr(self, name)
            if not 0 < value < math.inf:
                raise ValueError(f"{name} must be above 0, got {value!r}")

        if not 0 <= self.max_wait_s < math.inf:
            raise ValueError(f"max_wait_s must be 0 or more, got {self.max_wait_s!r}")
