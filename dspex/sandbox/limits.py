"""A provider's rate limit: so many requests, so many tokens, in a window of fixed length."""

from __future__ import annotations

import math
from dataclasses import dataclass

from dspex.errors import SandboxError
from dspex.sandbox.checks import require_at_least, require_integer

__all__ = ("RateLimit", "RateWindow", "admit")


@dataclass(frozen=True, slots=True, kw_only=True)
class RateLimit:
    """At most `requests` and `tokens` per window of `window_s` seconds; the rest meets a 429.

    None is no limit. A request is charged its prompt's tokens and the output tokens it allows
    itself, when it comes; one that alone is over `tokens` never gets through.
    """

    requests: int | None = None
    window_s: float = 60.0
    tokens: int | None = None

    def __post_init__(self) -> None:
        """Refuse a limit of nothing, one that admits nothing, and a window without length."""
        if self.requests is None and self.tokens is None:
            raise SandboxError("rate_limit: give requests, tokens or both; got neither")

        if self.requests is not None:
            require_integer("rate_limit.requests", self.requests, 1)

        if self.tokens is not None:
            require_integer("rate_limit.tokens", self.tokens, 1)

        require_at_least("rate_limit.window_s", self.window_s, 0.001)


@dataclass(frozen=True, slots=True)
class RateWindow:
    """The current window of a rate limit: when it opened (seconds), and what it has admitted."""

    opened_at_s: float = -math.inf
    admitted: int = 0
    tokens: int = 0


def admit(
    limit: RateLimit, window: RateWindow, now_s: float, tokens: int = 0
) -> tuple[RateWindow, float]:
    """Return the window after a request at `now_s`, and 0 or the seconds until the next window."""
    if now_s - window.opened_at_s >= limit.window_s:
        window = RateWindow(now_s)

    admitted, charged = window.admitted + 1, window.tokens + tokens
    over = limit.requests is not None and admitted > limit.requests
    if over or (limit.tokens is not None and charged > limit.tokens):
        return window, window.opened_at_s + limit.window_s - now_s

    return RateWindow(window.opened_at_s, admitted, charged), 0.0
