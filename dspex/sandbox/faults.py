"""What can go wrong between a client and a provider: the names, and how often each happens."""

from __future__ import annotations

import math
from dataclasses import dataclass
from operator import attrgetter
from typing import TYPE_CHECKING, Final, Literal, get_args

from dspex.errors import SandboxError
from dspex.sandbox.checks import require_between

if TYPE_CHECKING:
    from dspex.sandbox.exchange import ProblemKind

__all__ = ("FAULTS", "STATUS_FAULTS", "Fault", "Faults")

Fault = Literal[
    "rate_limited",
    "quota_exhausted",
    "server_error",
    "unavailable",
    "reset",
    "cut",
    "stall",
    "garbage",
    "unauthorized",
    "forbidden",
    "not_found",
    "request_timeout",
    "conflict",
    "too_large",
    "context_window",
    "bad_gateway",
    "gateway_timeout",
    "overloaded",
    "html_error",
    "html_page",
    "wrong_type",
    "malformed_json",
    "malformed_event",
    "stream_error",
    "failed",
    "reset_body",
    "stall_headers",
    "slow_drip",
    "oversized",
]

FAULTS: Final[tuple[Fault, ...]] = get_args(Fault)
"""The names of all faults, in the order in which shares are laid side by side."""

_SHARES: Final = attrgetter(*FAULTS)

STATUS_FAULTS: Final[dict[Fault, ProblemKind]] = {
    "rate_limited": "rate_limited",
    "quota_exhausted": "quota_exhausted",
    "server_error": "server_error",
    "unavailable": "unavailable",
    "unauthorized": "unauthorized",
    "forbidden": "forbidden",
    "not_found": "not_found",
    "request_timeout": "request_timeout",
    "conflict": "conflict",
    "too_large": "too_large",
    "context_window": "context_window",
    "bad_gateway": "bad_gateway",
    "gateway_timeout": "gateway_timeout",
    "overloaded": "overloaded",
}
"""The faults that are an error answer in the wire's own words."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Faults:
    """The share of requests, from 0 to 1, that meets each fault; together at most 1.

    Error answers, in the words of the wire asked: `unauthorized` 401, `forbidden` 403, `not_found`
    404, `request_timeout` 408, `conflict` 409, `too_large` 413, `context_window` 400,
    `rate_limited` 429 that says when to come back (`Script.retry`), `quota_exhausted` which waiting
    does not cure, `server_error` 500, `bad_gateway` 502, `unavailable` 503, `gateway_timeout` 504,
    `overloaded` 529; `html_error` 502 with an HTML page.

    Good status, bad answer: `garbage` HTML that is called JSON; `html_page` HTML that is called so;
    `wrong_type` a good body called plain text; `malformed_json` a body that ends too early, of
    the length announced; `malformed_event` a stream with one broken event half way; `stream_error`
    half a stream, then the wire's own error event; `failed` an answer that says it failed.

    Connection: `reset` before any header; `reset_body` after half the body; `cut` the same, but
    closed in good order; `stall_headers` silence for `stall_s` instead of an answer, then closed;
    `stall` the same after half the body; `slow_drip` the whole body, a few bytes at a time;
    `oversized` a body without end. What is said of streams becomes, where the request wants none,
    the nearest thing: `malformed_json` or a `server_error`.
    """

    rate_limited: float = 0.0
    quota_exhausted: float = 0.0
    server_error: float = 0.0
    unavailable: float = 0.0
    reset: float = 0.0
    cut: float = 0.0
    stall: float = 0.0
    garbage: float = 0.0
    unauthorized: float = 0.0
    forbidden: float = 0.0
    not_found: float = 0.0
    request_timeout: float = 0.0
    conflict: float = 0.0
    too_large: float = 0.0
    context_window: float = 0.0
    bad_gateway: float = 0.0
    gateway_timeout: float = 0.0
    overloaded: float = 0.0
    html_error: float = 0.0
    html_page: float = 0.0
    wrong_type: float = 0.0
    malformed_json: float = 0.0
    malformed_event: float = 0.0
    stream_error: float = 0.0
    failed: float = 0.0
    reset_body: float = 0.0
    stall_headers: float = 0.0
    slow_drip: float = 0.0
    oversized: float = 0.0

    def __post_init__(self) -> None:
        """Refuse shares outside 0 to 1 and a sum over 1."""
        for name in FAULTS:
            require_between(f"faults.{name}", getattr(self, name), 0, 1)

        total = math.fsum(getattr(self, name) for name in FAULTS)
        if total > 1 + 1e-9:
            raise SandboxError(
                f"faults: the shares add up to {total!r}; they may add up to 1 at most"
            )

    @property
    def any(self) -> bool:
        """Whether there is a fault that can happen at all."""
        return any(_SHARES(self))

    def pick(self, point: float) -> Fault | None:
        """Return the fault whose share covers `point` in [0, 1), or None past the last one."""
        edge = 0.0
        for name, share in zip(FAULTS, _SHARES(self), strict=True):
            edge += share
            if point < edge:
                return name

        return None
