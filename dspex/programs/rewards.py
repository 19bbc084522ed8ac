"""Tries of one program that a reward judges: numbered, each with its trace, failures told apart."""

from __future__ import annotations

import inspect
import math
from dataclasses import KW_ONLY, dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

from dspex.effects import Trace, current
from dspex.errors import AnswerRejected, ParseError, ProviderError
from dspex.programs.sampling import sampled

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from dspex.programs.program import Program
    from dspex.signatures.prediction import Prediction

__all__ = ("Candidate", "Reward", "best", "judge", "keep_trace", "try_program")

Reward: TypeAlias = (
    "Callable[[Mapping[str, Any], Prediction], float | bool | Awaitable[float | bool]]"
)
"""Says how good a prediction is for the inputs: a sync or async function, higher is better."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """One try: its prediction and reward, or the error it ended with; `program` made it."""

    index: int
    _: KW_ONLY
    prediction: Prediction | None = None
    reward: float = float("-inf")
    error: Exception | None = None
    trace: Trace
    program: Program


async def try_program(
    program: Program, inputs: Mapping[str, Any], reward: Reward, index: int, *, of: int
) -> Candidate:
    """Run a program as try `index` of `of` and judge what it gives.

    An answer that cannot be read or was rejected, and a provider's refusal, are outcomes; any other
    error is a mistake in the program and is raised.
    """
    trace = Trace()
    try:
        prediction = await sampled(program, inputs, index, of=of, trace=trace)
    except (AnswerRejected, ParseError, ProviderError) as exc:
        return Candidate(index, error=exc, trace=trace, program=program)

    value = await judge(reward, inputs, prediction)
    return Candidate(index, prediction=prediction, reward=value, trace=trace, program=program)


async def judge(reward: Reward, inputs: Mapping[str, Any], prediction: Prediction) -> float:
    """Return the reward as a number.

    Raises:
        TypeError: the function gave something that is no number.
    """
    value: Any = reward(inputs, prediction)
    if inspect.isawaitable(value):
        value = await value

    try:
        number = float(value)
    except (TypeError, ValueError):
        number = math.nan

    if math.isnan(number):  # nothing is better or worse than that
        name = getattr(reward, "__qualname__", type(reward).__name__)
        raise TypeError(f"the reward {name} gave {value!r}: it must give a number")

    return number


def best(candidates: list[Candidate]) -> Candidate:
    """Return the try with the highest reward, the first of equals.

    Raises:
        DspexError: every try failed. It is the first outage's error, so that nobody takes an outage
            for a wrong answer, or else the first error.
    """
    answered = [candidate for candidate in candidates if candidate.prediction is not None]
    if answered:
        return max(answered, key=lambda candidate: (candidate.reward, -candidate.index))

    errors = [candidate.error for candidate in candidates if candidate.error is not None]
    outages = [error for error in errors if isinstance(error, ProviderError) and error.unavailable]
    error = (outages or errors)[0]
    error.add_note(f"all {len(candidates)} tries failed; this is the error of one of them")
    raise error


def keep_trace(candidate: Candidate, program: Program) -> None:
    """Let the surrounding trace see the try that was chosen, and none of the others.

    A try with advice ran on copies; its entries name the predictors of `program`, which are those
    that an optimizer knows.
    """
    outer = current().trace
    if outer is None:
        return

    known = program.named_predictors()
    ran = candidate.program.named_predictors()
    own = {id(predictor): known[path] for path, predictor in ran.items() if path in known}
    for entry in candidate.trace:
        outer.record(entry._replace(predictor=own.get(id(entry.predictor), entry.predictor)))
