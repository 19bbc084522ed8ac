"""Answer, check, go back with the reason, and answer again."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from dspex.effects import Trace
from dspex.errors import AnswerRejected
from dspex.programs.program import Program
from dspex.programs.rewards import Candidate, keep_trace
from dspex.programs.sampling import sampled
from dspex.signatures.prediction import Prediction

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from dspex.programs.predict import Predict

__all__ = ("SelfCorrecting", "Validate", "Verdict")

Verdict: TypeAlias = str | bool | None
"""None or True for a good prediction, otherwise what is wrong with it."""

Validate: TypeAlias = "Callable[[Mapping[str, Any], Prediction], Verdict | Awaitable[Verdict]]"
"""Judges a prediction for its inputs: a sync or async function."""


class SelfCorrecting(Program):
    """Checks each prediction and goes back with the reason until one is good.

        def short(inputs, prediction):
            if len(prediction.answer) > 80:
                return f"the answer has {len(prediction.answer)} characters; at most 80 are wanted"

        answer = SelfCorrecting(ChainOfThought("question -> answer"), validate=short)

    Every rejected answer and its reason join the instructions of the predictors that made it, so
    the model sees all of its mistakes at once. The trace holds the last round alone.

    Args:
        program: what answers.
        validate: `(inputs, prediction) -> reason or None`, sync or async; a `ValueError` it raises
            is a reason too.
        max_corrections: how often it goes back.
        on_failure: what happens when the last answer is rejected as well: "raise" an
            `AnswerRejected`, or "return" that answer.
    """

    program: Program
    validate: Validate
    max_corrections: int
    on_failure: Literal["raise", "return"]

    def __init__(
        self,
        program: Program,
        *,
        validate: Validate,
        max_corrections: int = 2,
        on_failure: Literal["raise", "return"] = "raise",
    ) -> None:
        if max_corrections < 0:
            raise ValueError(f"max_corrections must be 0 or more, got {max_corrections!r}")

        if on_failure not in ("raise", "return"):
            raise ValueError(f"on_failure must be 'raise' or 'return', got {on_failure!r}")

        self.program = program
        self.validate = validate
        self.max_corrections = max_corrections
        self.on_failure = on_failure

    async def forward(self, **inputs: Any) -> Prediction:
        """Return the first prediction that is not rejected.

        Raises:
            AnswerRejected: all were; it holds each with its reason.
        """
        rejected = list[tuple[Prediction, str]]()
        while True:
            trace, program = Trace(), _corrected(self.program, rejected)
            prediction = await sampled(program, inputs, 0, of=1, trace=trace)
            reason = await self._reason(inputs, prediction)
            if reason is None:
                break

            rejected.append((prediction, reason))
            if len(rejected) > self.max_corrections:
                if self.on_failure == "return":
                    break

                raise AnswerRejected(_told(rejected), tuple(rejected))

        keep_trace(Candidate(len(rejected), trace=trace, program=program), self.program)
        return prediction

    async def _reason(self, inputs: Mapping[str, Any], prediction: Prediction) -> str | None:
        try:
            found: Any = self.validate(inputs, prediction)
            if inspect.isawaitable(found):
                found = await found
        except ValueError as exc:
            return str(exc) or "it is not valid"

        if found is None or found is True:
            return None

        return "it is not valid" if found is False else str(found)

    def input_names(self) -> list[str]:
        """Return the names of the inputs it takes, in order."""
        return self.program.input_names()


def _corrected(program: Program, rejected: list[tuple[Prediction, str]]) -> Program:
    if not rejected:
        return program

    note = "Earlier answers were rejected:\n" + "\n".join(
        f"- {_fields(prediction)}: {reason}" for prediction, reason in rejected
    )
    note += "\nGive an answer to which none of this applies."
    outputs = set(rejected[-1][0])
    predictors = program.named_predictors()
    makers = {
        path: predictor
        for path, predictor in predictors.items()
        if outputs & predictor.signature.output_fields.keys()
    }
    return program.replace(
        {path: _noted(predictor, note) for path, predictor in (makers or predictors).items()}
    )


def _noted(predictor: Predict, note: str) -> Predict:
    return predictor.changed(signature=predictor.signature.append_instructions(note))


def _fields(prediction: Prediction) -> str:
    return ", ".join(f"{name}={prediction[name]!r}" for name in prediction)


def _told(rejected: list[tuple[Prediction, str]]) -> str:
    prediction, reason = rejected[-1]
    return f"{len(rejected)} answers were rejected, the last one {prediction!r}: {reason}"
