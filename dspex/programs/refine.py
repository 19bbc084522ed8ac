"""Tries that learn: after each one that is not good enough, advice for every predictor."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any, TypeVar

from dspex.effects import scope
from dspex.errors import ParseError, ProviderError
from dspex.programs.best_of_n import varied
from dspex.programs.chain_of_thought import ChainOfThought
from dspex.programs.program import Program
from dspex.programs.rewards import Candidate, Reward, best, keep_trace, try_program
from dspex.signatures.signature import Signature

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dspex.signatures.prediction import Prediction

__all__ = ("Refine", "advised")

P = TypeVar("P", bound=Program)

_ADVICE = Signature(
    "modules: dict[str, str], inputs: dict[str, str], steps: list[str], goal, reward: float, "
    "target: float -> advice: dict[str, str]",
    "A program of the given modules answered the inputs in the given steps and did not reach the "
    "target. Find the modules that are to blame, and give each of them advice that makes the next "
    "try better: concrete, about this kind of input, without the answer itself. Name a module "
    "exactly as it is named; say nothing to modules that did well.",
)
_SHOWN_CHARS = 2_000


class Refine(Program):
    """Tries a program, and again with advice, until a reward is reached or `n` tries are made.

    Between two tries a model reads what happened (inputs, every predictor's step, the reward) and
    writes advice for the predictors, which joins their instructions for the next try alone. The
    prediction with the highest reward is given; usage covers all, the trace holds the chosen try.

    Args:
        program: what is tried.
        n: how often at most, one after the other.
        reward: `(inputs, prediction) -> number`; its docstring tells the adviser what is wanted.
        threshold: the reward that is good enough.
        temperature: of every predictor below; None leaves theirs.
        adviser: a predictor of `advice` from modules, inputs, steps, goal, reward and target.
    """

    program: Program
    adviser: Program
    n: int
    reward: Reward
    threshold: float

    def __init__(
        self,
        program: Program,
        n: int = 3,
        *,
        reward: Reward,
        threshold: float = 1.0,
        temperature: float | None = 1.0,
        adviser: Program | None = None,
    ) -> None:
        if n < 1:
            raise ValueError(f"n must be 1 or more, got {n!r}")

        self.program = varied(program, temperature)
        self.adviser = adviser or ChainOfThought(_ADVICE)
        self.n = n
        self.reward = reward
        self.threshold = threshold

    async def forward(self, **inputs: Any) -> Prediction:
        """Return the best prediction for the inputs of the program."""
        program, candidates = self.program, list[Candidate]()
        for index in range(self.n):
            candidates.append(await try_program(program, inputs, self.reward, index, of=self.n))
            if candidates[-1].reward >= self.threshold or index + 1 == self.n:
                break

            program = advised(self.program, await self._advice(inputs, candidates[-1]))

        chosen = best(candidates)
        keep_trace(chosen, self.program)
        assert chosen.prediction is not None
        return chosen.prediction

    async def _advice(self, inputs: Mapping[str, Any], candidate: Candidate) -> Mapping[str, str]:
        predictors = self.program.named_predictors()
        ran = candidate.program.named_predictors().items()
        names = {id(predictor): path for path, predictor in ran}
        steps = [_step(entry, names) for entry in candidate.trace]
        if candidate.error is not None:
            steps.append(f"The try ended with an error: {candidate.error}")

        try:
            with scope(trace=None):
                answer = await self.adviser(
                    modules={path: p.signature.instructions for path, p in predictors.items()},
                    inputs={name: _shown(value) for name, value in inputs.items()},
                    steps=steps,
                    goal=inspect.getdoc(self.reward) or "a reward as high as the target",
                    reward=max(candidate.reward, -1e308),
                    target=self.threshold,
                )
        except (ParseError, ProviderError):
            return {}  # a try without advice is still a try

        advice: Mapping[str, str] = answer.advice
        return advice

    def input_names(self) -> list[str]:
        """Return the names of the inputs it takes, in order."""
        return self.program.input_names()


def advised(program: P, advice: Mapping[str, str]) -> P:
    """Return a program whose predictors have advice at the end of their instructions.

    Args:
        program: stays as it is.
        advice: by path of `named_predictors`; what names none is ignored.
    """
    predictors = program.named_predictors()
    changed = {
        path: predictors[path].changed(
            signature=predictors[path].signature.append_instructions(f"Advice: {text}")
        )
        for path, text in advice.items()
        if path in predictors and text.strip()
    }
    return program.replace(changed) if changed else program


def _step(entry: Any, names: Mapping[int, str]) -> str:
    inputs = {name: _shown(value) for name, value in entry.inputs.items()}
    outputs = {name: _shown(entry.prediction[name]) for name in entry.prediction}
    module = names.get(id(entry.predictor), type(entry.predictor).__name__)
    return f"{module}: {inputs} -> {outputs}"


def _shown(value: object) -> str:
    text = value if isinstance(value, str) else repr(value)
    return text if len(text) <= _SHOWN_CHARS else f"{text[:_SHOWN_CHARS]} ..."
