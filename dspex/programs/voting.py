"""Many predictions into one: the majority of their values, or any other reduction."""

from __future__ import annotations

import unicodedata
from collections import Counter
from typing import TYPE_CHECKING, Any, TypeAlias

from dspex.programs.program import Program
from dspex.programs.sampling import run_all, sampled
from dspex.signatures.prediction import Prediction

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Sequence

__all__ = ("Ensemble", "Reduction", "majority", "plain_text")

Reduction: TypeAlias = "Callable[[Sequence[Prediction]], Prediction]"
"""Makes one prediction of several, which are in the order of the programs."""


def plain_text(value: object) -> Hashable | None:
    """Return a text without case, accents of form and outer space; None for an empty one."""
    if value is None:
        return None

    text = unicodedata.normalize("NFKC", str(value)).casefold().strip()
    return " ".join(text.split()) or None


def majority(
    predictions: Prediction | Sequence[Prediction],
    *,
    field: str | None = None,
    normalize: Callable[[Any], Hashable | None] = plain_text,
) -> Prediction:
    """Return the first of the predictions whose value most of them share.

    Args:
        predictions: several, or one with its completions.
        field: which value counts; None is the last field.
        normalize: what makes two values equal; None for a value that does not count.

    Raises:
        ValueError: there are no predictions, or none has the field.
    """
    rows = predictions.completions if isinstance(predictions, Prediction) else tuple(predictions)
    if not rows:
        raise ValueError("there are no predictions to choose from")

    name = field if field is not None else list(rows[0])[-1]
    if missing := [row for row in rows if name not in row]:
        raise ValueError(f"no field {name!r} in {missing[0]!r}")

    values = [normalize(row[name]) for row in rows]
    counts = Counter(value for value in values if value is not None)
    if not counts:
        return rows[0]

    # Counter keeps the order of first sight, so the first of equally frequent values wins.
    winner, _ = counts.most_common(1)[0]
    return rows[values.index(winner)]


class Ensemble(Program):
    """Asks several programs at once and reduces their predictions to one.

        vote = Ensemble([first, second, third])
        prediction = await vote(question="...")

    Each program is a sample of its own, so the same program several times is a vote over samples.

    Args:
        programs: they take the same inputs.
        reduce: `majority` by default.
        max_concurrency: how many run at the same time; None is all of them.
    """

    programs: Sequence[Program]
    reduce: Reduction
    max_concurrency: int | None

    def __init__(
        self,
        programs: Sequence[Program],
        *,
        reduce: Reduction = majority,
        max_concurrency: int | None = None,
    ) -> None:
        if not programs:
            raise ValueError("an ensemble needs at least one program")

        self.programs = programs
        self.reduce = reduce
        self.max_concurrency = max_concurrency

    async def forward(self, **inputs: Any) -> Prediction:
        """Return the reduced prediction for the inputs that all programs take."""
        predictions = await run_all(
            lambda numbered: sampled(numbered[1], inputs, numbered[0], of=len(self.programs)),
            list(enumerate(self.programs)),
            max_concurrency=self.max_concurrency,
            name="member",
        )
        return self.reduce(predictions)

    def input_names(self) -> list[str]:
        """Return the names of the inputs it takes, in order."""
        return self.programs[0].input_names()
