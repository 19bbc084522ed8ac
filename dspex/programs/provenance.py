"""Where a program came from: what an optimizer tried, what it cost, why it stopped."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass, field
from typing import TYPE_CHECKING, Any

from dspex.errors import LoadError
from dspex.usage import Usage

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ("Provenance",)


@dataclass(frozen=True, slots=True)
class Provenance:
    """How a program was made; plain JSON data throughout, saved with the program.

    Args:
        optimizer: who made it, with its settings.
        stop_reason: why it stopped looking.
        score: what the chosen candidate scored; None if nothing was scored.
        candidates: one table per candidate, in the order tried: what it was.
        scores: one per candidate; None where it was not scored.
        usage: everything the search used; `usage.calls` and `usage.cost_usd` are the bill.
        seed: what its randomness began with.
        details: anything else the optimizer wants to be remembered by.
    """

    optimizer: str
    _: KW_ONLY
    stop_reason: str = ""
    score: float | None = None
    candidates: tuple[Mapping[str, Any], ...] = ()
    scores: tuple[float | None, ...] = ()
    usage: Usage = field(default_factory=Usage)
    seed: int | None = None
    details: Mapping[str, Any] = field(default_factory=dict[str, Any])

    @property
    def calls(self) -> int:
        """How many model calls the search made."""
        return self.usage.calls

    @property
    def cost_usd(self) -> Any:
        """What the search cost, as a Decimal; None if a price was unknown."""
        return self.usage.cost_usd

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON data."""
        return {
            "optimizer": self.optimizer,
            "stop_reason": self.stop_reason,
            "score": self.score,
            "candidates": [dict(candidate) for candidate in self.candidates],
            "scores": list(self.scores),
            "usage": self.usage.to_dict(),
            "seed": self.seed,
            "details": dict(self.details),
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Provenance:
        """Rebuild from `to_dict`; unknown keys are ignored.

        Raises:
            LoadError: it is not a provenance.
        """
        try:
            return cls(
                str(data["optimizer"]),
                stop_reason=data["stop_reason"],
                score=data["score"],
                candidates=tuple(dict(candidate) for candidate in data["candidates"]),
                scores=tuple(data["scores"]),
                usage=Usage.from_dict(data["usage"]),
                seed=data["seed"],
                details=dict(data["details"]),
            )
        except (KeyError, TypeError, ValueError, ArithmeticError) as exc:
            raise LoadError(f"not a provenance: {exc!r} in {data!r}") from exc
