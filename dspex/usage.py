"""What calls cost: token counts in one normal form, their price, and the meter that adds them up.

Every provider counts differently; the wires fold their counts to this form: `input_tokens` is all
input, what a prompt cache served included; `output_tokens` is all output, reasoning included.
"""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass
from decimal import Decimal
from typing import Any

__all__ = ("Usage", "UsageMeter")

_ZERO = Decimal(0)
_MOST_MODELS = 1_000


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens, calls and cost of one call or of many; `+` adds two.

    `cost_usd` is None as soon as the price of any call in the sum is unknown: a partial sum would
    look like a small bill.
    """

    _: KW_ONLY
    input_tokens: int = 0
    output_tokens: int = 0
    cache_read_tokens: int = 0
    cache_write_tokens: int = 0
    reasoning_tokens: int = 0
    cost_usd: Decimal | None = _ZERO
    calls: int = 0
    cache_hits: int = 0
    failed_attempts: int = 0

    @property
    def total_tokens(self) -> int:
        """Input and output together."""
        return self.input_tokens + self.output_tokens

    def __add__(self, other: Usage) -> Usage:
        return Usage(
            input_tokens=self.input_tokens + other.input_tokens,
            output_tokens=self.output_tokens + other.output_tokens,
            cache_read_tokens=self.cache_read_tokens + other.cache_read_tokens,
            cache_write_tokens=self.cache_write_tokens + other.cache_write_tokens,
            reasoning_tokens=self.reasoning_tokens + other.reasoning_tokens,
            cost_usd=_add_cost(self.cost_usd, other.cost_usd),
            calls=self.calls + other.calls,
            cache_hits=self.cache_hits + other.cache_hits,
            failed_attempts=self.failed_attempts + other.failed_attempts,
        )

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON data; the cost is a decimal string, so that no cent is lost."""
        return {
            "input_tokens": self.input_tokens,
            "output_tokens": self.output_tokens,
            "cache_read_tokens": self.cache_read_tokens,
            "cache_write_tokens": self.cache_write_tokens,
            "reasoning_tokens": self.reasoning_tokens,
            "cost_usd": None if self.cost_usd is None else str(self.cost_usd),
            "calls": self.calls,
            "cache_hits": self.cache_hits,
            "failed_attempts": self.failed_attempts,
        }

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Usage:
        """Rebuild from `to_dict`; fields that are missing are zero, unknown ones are ignored."""
        known = {name: data[name] for name in _FIELDS if name in data}
        cost = known.pop("cost_usd", "0")
        return cls(cost_usd=None if cost is None else Decimal(cost), **known)


_NOTHING = Usage()
_FIELDS = tuple(name for name in Usage.__dataclass_fields__ if name != "_")


def _add_cost(left: Decimal | None, right: Decimal | None) -> Decimal | None:
    return None if left is None or right is None else left + right


class UsageMeter:
    """Adds up the usage of everything below one point of a program, and passes it on upwards.

    One meter belongs to one running call and dies with it, so that forty thousand concurrent calls
    do not mix; the chain of parents is as deep as the program is nested. Not thread-safe: it is
    written from the event loop only.

    `in_call` counts the model calls now waiting for a provider below this point. When a deadline
    strikes, it tells time lost to the provider from time spent computing.

    Args:
        parent: where everything counts as well.
        by_model: keep accounts of each model, too; a thousand of them, and one of all others.
    """

    __slots__ = (
        "_by_model",
        "_cache_hits",
        "_cache_read",
        "_cache_write",
        "_calls",
        "_cost_usd",
        "_failed_attempts",
        "_input",
        "_output",
        "_reasoning",
        "_total",
        "in_call",
        "parent",
    )

    def __init__(self, parent: UsageMeter | None = None, *, by_model: bool = False) -> None:
        self.parent = parent
        self._by_model: dict[str, UsageMeter] | None = {} if by_model else None
        self.in_call = 0
        # Plain counters: adding up Usage values would build one at each level for each call.
        self._input = self._output = self._cache_read = self._cache_write = self._reasoning = 0
        self._calls = self._cache_hits = self._failed_attempts = 0
        self._cost_usd: Decimal | None = _ZERO
        self._total: Usage | None = _NOTHING

    @property
    def total(self) -> Usage:
        """What has been used so far; the same object until more is."""
        total = self._total
        if total is None:
            total = self._total = self._add_up()

        return total

    def _add_up(self) -> Usage:
        return Usage(
            input_tokens=self._input,
            output_tokens=self._output,
            cache_read_tokens=self._cache_read,
            cache_write_tokens=self._cache_write,
            reasoning_tokens=self._reasoning,
            cost_usd=self._cost_usd,
            calls=self._calls,
            cache_hits=self._cache_hits,
            failed_attempts=self._failed_attempts,
        )

    @property
    def usage_by_model(self) -> dict[str, Usage]:
        """What each "provider/model" has used; empty unless accounts of models are kept."""
        return {name: meter.total for name, meter in (self._by_model or {}).items()}

    def add(self, usage: Usage, provider: str = "", model: str = "") -> None:
        """Count `usage` here and in every parent.

        Args:
            usage: of one call, or of many.
            provider: whose.
            model: of the provider; without it the usage is in no model's account.
        """
        meter: UsageMeter | None = self
        while meter is not None:
            if meter._by_model is not None and model:
                meter._account(f"{provider}/{model}").add(usage)

            # Most meters see a single call, whose usage is then the sum.
            meter._total = usage if meter._total is _NOTHING else None
            meter._input += usage.input_tokens
            meter._output += usage.output_tokens
            meter._cache_read += usage.cache_read_tokens
            meter._cache_write += usage.cache_write_tokens
            meter._reasoning += usage.reasoning_tokens
            meter._calls += usage.calls
            meter._cache_hits += usage.cache_hits
            meter._failed_attempts += usage.failed_attempts
            meter._cost_usd = _add_cost(meter._cost_usd, usage.cost_usd)
            meter = meter.parent

    def _account(self, name: str) -> UsageMeter:
        accounts = self._by_model
        assert accounts is not None
        if name not in accounts and len(accounts) >= _MOST_MODELS:
            name = "other"

        return accounts.setdefault(name, UsageMeter())

    def enter_call(self) -> None:
        """Say that one more model call is in flight below this point."""
        meter: UsageMeter | None = self
        while meter is not None:
            meter.in_call += 1
            meter = meter.parent

    def leave_call(self) -> None:
        """Say that a call announced by `enter_call` is over."""
        meter: UsageMeter | None = self
        while meter is not None:
            meter.in_call -= 1
            meter = meter.parent

    def __repr__(self) -> str:
        return f"<UsageMeter {self.in_call} in call, {self.total}>"
