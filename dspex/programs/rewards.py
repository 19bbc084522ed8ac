"""Tries of one program that a reward judges: numbered, each with its trace, failures told apart."""

from __future__ import annotations

import inspect
from dataclasses import KW_ONLY, dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

from dspex.effects import Trace, current
from dspex.errors import ParseError, ProviderError
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
    """One try: its prediction and reward, or the error it ended with."""

    index: int
    _: KW_ONLY
    prediction: Prediction | None = None
    reward: float = float("-inf")
    error: Exception | None = None
    trace: Trace


async def try_program(
    program: Program, inputs: Mapping[str, Any], reward: Reward, index: int, *, of: int
) -> Candidate:
    """Run a program as try `index` of `of` and judge what it gives.

    An answer that cannot be read, and a provider's refusal, are outcomes; any other error is a
    mistake in the program and is raised.
    """
    trace = Trace()
    try:
        prediction = await sampled(program, inputs, index, of=of, trace=trace)
    except (ParseError, ProviderError) as exc:
        return Candidate(index, error=exc, trace=trace)

    return Candidate(
        index, prediction=prediction, reward=await judge(reward, inputs, prediction), trace=trace
    )


async def judge(reward: Reward, inputs: Mapping[str, Any], prediction: Prediction) -> float:
    """Return the reward as a number.

    Raises:
        TypeError: the function gave something that is no number.
    """
    value: Any = reward(inputs, prediction)
    if inspect.isawaitable(value):
        value = await value

    try:
        return float(value)
    except (TypeError, ValueError) as exc:
        name = getattr(reward, "__qualname__", type(reward).__name__)
        raise TypeError(f"the reward {name} gave {value!r}: it must give a number") from exc


def best(candidates: list[Candidate]) -> Candidate:
    """Return the try with the highest reward, the first of equals.

    Raises:
        DspexError: every try failed. It is the first outage's error, so that nobody takes an outage
            for a wrong answer, or else the first error.
    """
    winner = max(candidates, key=lambda candidate: (candidate.reward, -candidate.index))
    if winner.prediction is not None:
        return winner

    errors = [candidate.error for candidate in candidates if candidate.error is not None]
    outages = [error for error in errors if isinstance(error, ProviderError) and error.unavailable]
    error = (outages or errors)[0]
    error.add_note(f"all {len(candidates)} tries failed; this is the error of one of them")
    raise error


def keep_trace(candidate: Candidate) -> None:
    """Let the surrounding trace see the try that was chosen, and none of the others."""
    outer = current().trace
    if outer is not None:
        for entry in candidate.trace:
            outer.record(entry)
