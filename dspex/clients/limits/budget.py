"""Budgets: what a run may use, drawn from before anything is sent.

A call sets its estimate aside first and settles with what it really used, so that ten thousand
calls at once cannot overshoot together: not in calls, and not in tokens where `max_tokens` bounds
their answers. Without that bound nothing is set aside for the answer, and calls that start together
may overshoot by all of theirs. The purse is asked through `BudgetSource`; this one lives in this
process.
"""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass
from typing import TYPE_CHECKING

from dspex.errors import BudgetExceeded, ErrorData, ErrorKind
from dspex.usage import Usage

if TYPE_CHECKING:
    from dspex.messages import Request

__all__ = ("Budget", "BudgetStatistics", "LocalBudget", "estimate_usage")

_CHARS_PER_TOKEN = 4


@dataclass(frozen=True, slots=True)
class Budget:
    """Upper bounds; None means unbounded. `tokens` counts input and output together."""

    _: KW_ONLY
    calls: int | None = None
    tokens: int | None = None

    def __post_init__(self) -> None:
        for name in ("calls", "tokens"):
            value = getattr(self, name)
            if value is not None and value < 0:
                raise ValueError(f"budget {name} must be 0 or more, got {value!r}")


@dataclass(frozen=True, slots=True)
class BudgetStatistics:
    """One moment of a purse: what was used, and what calls under way have set aside."""

    budget: Budget
    _: KW_ONLY
    used_calls: int
    used_tokens: int
    reserved_calls: int
    reserved_tokens: int


class LocalBudget:
    """A purse in this process. Never waits; not thread-safe; under a microsecond a call.

    Tokens are estimated from the prompt's length and the output bound before a call; a call whose
    answer is longer than estimated is settled at its true size.
    """

    __slots__ = ("_budget", "_reserved_calls", "_reserved_tokens", "_used_calls", "_used_tokens")

    def __init__(self, budget: Budget) -> None:
        self._budget = budget
        self._used_calls = self._used_tokens = 0
        self._reserved_calls = self._reserved_tokens = 0

    def __repr__(self) -> str:
        return f"<LocalBudget {self._budget}, {self._used_calls} calls, {self._used_tokens} tokens>"

    def reserve(self, estimate: Usage) -> _Lease:
        """Set `estimate` aside.

        Raises:
            BudgetExceeded: it does not fit; nothing is set aside.
        """
        budget, calls, tokens = self._budget, estimate.calls, estimate.total_tokens
        wanted_calls = self._used_calls + self._reserved_calls + calls
        wanted_tokens = self._used_tokens + self._reserved_tokens + tokens
        if budget.calls is not None and wanted_calls > budget.calls:
            raise _exceeded("calls", budget.calls, wanted_calls)

        if budget.tokens is not None and wanted_tokens > budget.tokens:
            raise _exceeded("tokens", budget.tokens, wanted_tokens)

        self._reserved_calls += calls
        self._reserved_tokens += tokens
        return _Lease(self, calls, tokens)

    def statistics(self) -> BudgetStatistics:
        """Return a snapshot."""
        return BudgetStatistics(
            self._budget,
            used_calls=self._used_calls,
            used_tokens=self._used_tokens,
            reserved_calls=self._reserved_calls,
            reserved_tokens=self._reserved_tokens,
        )

    def close_lease(self, calls: int, tokens: int, actual: Usage | None) -> None:
        """Give an estimate back and count `actual`; leases call it."""
        self._reserved_calls -= calls
        self._reserved_tokens -= tokens
        if actual is not None:
            self._used_calls += actual.calls
            self._used_tokens += actual.total_tokens


class _Lease:
    __slots__ = ("_calls", "_source", "_tokens")

    def __init__(self, source: LocalBudget, calls: int, tokens: int) -> None:
        self._source: LocalBudget | None = source
        self._calls = calls
        self._tokens = tokens

    def settle(self, actual: Usage) -> None:
        """Count what was used in place of the estimate."""
        self._close(actual)

    def release(self) -> None:
        """Give everything back."""
        self._close(None)

    def _close(self, actual: Usage | None) -> None:
        source, self._source = self._source, None
        if source is not None:
            source.close_lease(self._calls, self._tokens, actual)


def _exceeded(name: str, limit: int, wanted: int) -> BudgetExceeded:
    return BudgetExceeded(
        ErrorData(
            ErrorKind.BUDGET,
            f"the budget of {limit:,} {name} leaves no room for this call "
            f"(it would reach {wanted:,})",
            stage="budget",
        )
    )


def estimate_usage(request: Request) -> Usage:
    """Guess a request's usage before it is sent: four characters a token, and its output bound."""
    characters = 0
    for message in request.messages:
        content = message.content
        characters += len(content) if type(content) is str else len(message.text)

    bound = request.sampling.max_tokens or 0
    return Usage(
        input_tokens=characters // _CHARS_PER_TOKEN + 1,
        output_tokens=bound * request.sampling.n,
        cost_usd=None,
        calls=1,
    )
