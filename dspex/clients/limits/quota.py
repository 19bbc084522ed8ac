"""What a call needs before it may be sent: a share of the provider's requests and tokens.

`QuotaSource` is the seam: in this process it is a `RequestLimiter`; several processes that share
one account put a source behind it that leases from a common one. Hence the `key`, which names what
is limited ("provider/model"), and an estimate that is corrected when the answer is there.
"""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from dspex.usage import Usage

__all__ = ("QuotaLease", "QuotaSource", "QuotaStatistics")


@dataclass(frozen=True, slots=True)
class QuotaStatistics:
    """One moment of a quota source; rates are None where there is no limit.

    `requests_free` and `tokens_free` say what could be granted at once; negative tokens are a debt
    from requests that used more than was set aside for them. `pace_per_min` is the rate that was
    found after refusals, None while everything goes.
    """

    _: KW_ONLY
    waiting: int = 0
    granted: int = 0
    refunded: int = 0
    paused_s: float = 0.0
    pauses: int = 0
    requests_per_min: float | None = None
    tokens_per_min: float | None = None
    requests_free: float | None = None
    tokens_free: float | None = None
    input_tokens_per_min: float | None = None
    output_tokens_per_min: float | None = None
    pace_per_min: float | None = None
    users: int = 0


class QuotaLease(Protocol):
    """The right to send one request. The first of `settle` and `refund` counts."""

    def settle(self, usage: Usage) -> None:
        """Replace the estimated tokens by those that were used; no tokens at all mean unknown."""
        ...

    def refund(self) -> None:
        """Give everything back: the request was not sent."""
        ...


class QuotaSource(Protocol):
    """Hands out leases in the order they are asked for."""

    def try_acquire(
        self, *, key: str, tokens: int, output_tokens: int = 0, user: str = ""
    ) -> QuotaLease | None:
        """Return a lease if nobody has to be waited for, as is nearly always so; else None."""
        ...

    async def acquire(
        self, *, key: str, tokens: int, output_tokens: int = 0, user: str = ""
    ) -> QuotaLease:
        """Wait for the right to send one request; a cancelled wait holds nothing.

        Args:
            key: what is limited, "provider/model"; a source of one process has one anyway.
            tokens: an estimate of input and output together.
            output_tokens: the output's part of it.
            user: who asks, where each user has limits of his own; empty for nobody.
        """
        ...

    def pause(self, for_s: float, *, limit_per_min: float | None = None) -> None:
        """Grant nothing for `for_s` seconds, and then slowly more: the provider refuses many.

        `limit_per_min` is its limit of requests, where it named one.
        """
        ...

    def refused(self) -> None:
        """Note that a request was refused for its rate."""
        ...

    def statistics(self) -> QuotaStatistics:
        """Return a snapshot."""
        ...
