"""Metrics that ask a model: a program behind a metric, with a client of its own."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import KW_ONLY, dataclass, field
from typing import TYPE_CHECKING, Any

from dspex.adapters.rendering import render_value
from dspex.effects import scope
from dspex.errors import EvaluationError
from dspex.recipe import Recipe, encode_argument, import_path

if TYPE_CHECKING:
    from dspex.clients.protocol import ModelClient
    from dspex.evaluation.metrics.prepared import Score
    from dspex.programs.program import Program
    from dspex.signatures.example import Example
    from dspex.signatures.prediction import Prediction
    from dspex.signatures.record import Record

__all__ = ("ProgramMetric", "field_of", "told")


@dataclass(frozen=True, slots=True)
class ProgramMetric(ABC):
    """Has a program judge an answer.

    The program's calls count as the example's own: their cost is in its outcome, and an outage of
    the judge makes the example unavailable. They are no part of the trace that optimizers learn
    from.

    `client` is who the program asks: "provider/model" of the runtime, a client, or None for the one
    that would be asked anyway. A judge had better not be the model it judges. Equal metrics have
    equal clients and programs of equal digests.
    """

    program: Program = field(compare=False)
    _: KW_ONLY
    client: ModelClient | str | None = None
    _asked: Program = field(init=False, repr=False, compare=False)
    _digest: str = field(init=False, repr=False)

    def __post_init__(self) -> None:
        program = self.program
        asked = program if self.client is None else program.with_client(self.client)
        object.__setattr__(self, "_asked", asked)
        object.__setattr__(self, "_digest", program.digest())

    async def __call__(self, example: Example, prediction: Prediction) -> Score:
        """Return what the program thinks of the answer."""
        with scope(trace=None):
            verdict = await self._asked(**self._given(example, prediction))

        return self._scored(verdict)

    def recipe(self) -> Recipe:
        """Return how to build this metric again.

        Raises:
            TypeError: its client is an object, which another process could not name.
        """
        if self.client is not None and not isinstance(self.client, str):
            raise TypeError(
                f"client: {self.client!r} cannot be named in another process: give the judge its "
                "client as 'provider/model'"
            )

        return Recipe(import_path(type(self)), self._arguments())

    def _arguments(self) -> dict[str, Any]:
        return {"program": encode_argument(self.program, "program"), "client": self.client}

    @abstractmethod
    def _given(self, example: Example, prediction: Prediction) -> dict[str, Any]: ...

    @abstractmethod
    def _scored(self, verdict: Prediction) -> Score: ...


def told(values: Record | dict[str, Any]) -> str:
    """Return named values as a model reads them: each name, and what it holds below it."""
    if not len(values):
        return "(nothing)"

    return "\n\n".join(f"{name}:\n{render_value(values[name])}" for name in values)


def field_of(source: Record, name: str, what: str, metric: object) -> Any:
    """Return a field of an example or a prediction.

    Raises:
        EvaluationError: there is none; names the metric, the field and what there is.
    """
    if name in source:
        return source[name]

    raise EvaluationError(
        f"metric {metric} needs the field {name!r}, which this {what} does not have; it has "
        f"{', '.join(map(repr, source)) or 'none'}"
    )
