"""A budget for a block of code."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dspex.clients.limits.budget import Budget, LocalBudget
from dspex.effects import current, scope

if TYPE_CHECKING:
    from decimal import Decimal
    from types import TracebackType

__all__ = ("budget",)


class budget:  # noqa: N801 - a block, used like contextlib.suppress
    """Hold everything in a block to a budget, inside those of the blocks around it.

        with dspex.budget(usd="2.50", wall_s=600) as purse:
            report = await dspex.evaluate(...)

        purse.statistics().used_usd

    The purse outlives the block. Given again in place of bounds, as a day's purse is for each of
    its runs, it goes on with what is left, inside those purses that it was made in.

    Args:
        bounds: a budget or a purse; or give the fields of a budget.
        usd: dollars.
        tokens: input and output together.
        calls: tries that reach a provider.
        wall_s: seconds, from the start of the block.
    """

    __slots__ = ("_bounds", "_scope")

    def __init__(
        self,
        bounds: Budget | LocalBudget | None = None,
        *,
        usd: Decimal | float | str | None = None,
        tokens: int | None = None,
        calls: int | None = None,
        wall_s: float | None = None,
    ) -> None:
        fields = Budget(usd=usd, tokens=tokens, calls=calls, wall_s=wall_s)
        if bounds is not None and fields.limited:
            raise TypeError(f"give bounds or fields, not both: got {bounds!r} and {fields!r}")

        self._bounds = fields if bounds is None else bounds

    def __enter__(self) -> LocalBudget:
        purse = self._bounds if isinstance(self._bounds, LocalBudget) else _purse(self._bounds)
        purse.account.start()
        self._scope = scope(budget=purse)
        self._scope.__enter__()
        return purse

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._scope.__exit__(exc_type, exc, traceback)


def _purse(bounds: Budget) -> LocalBudget:
    around = current().budget
    if around is not None and not isinstance(around, LocalBudget):
        raise TypeError(f"a budget of this process cannot nest inside {around!r}")

    return LocalBudget(bounds, parent=around)
