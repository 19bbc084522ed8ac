"""Several independent tries of a program, of which a reward chooses the best."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dspex.programs.program import Program
from dspex.programs.rewards import Candidate, Reward, best, keep_trace, try_program
from dspex.programs.sampling import run_all

if TYPE_CHECKING:
    from dspex.signatures.prediction import Prediction

__all__ = ("BestOfN", "varied")


class BestOfN(Program):
    """Tries a program `n` times at once and gives the prediction with the highest reward.

        best = BestOfN(Predict("question -> answer"), n=5, reward=one_word, threshold=1.0)

    The first try, in their order and not in time, whose reward reaches `threshold` ends the search:
    later ones are cancelled. Tries that cannot be read, are rejected or are refused by the provider
    do not count; if all are, the first one's error is raised. Usage covers every try; the trace
    holds the chosen one alone.

    Args:
        program: what is tried.
        n: how often at most.
        reward: `(inputs, prediction) -> number`, sync or async.
        threshold: a reward that is good enough; None always makes all `n` tries.
        temperature: of every predictor below, since equal tries teach nothing; None leaves theirs.
        max_concurrency: how many tries run at the same time; None is all of them.
    """

    program: Program
    n: int
    reward: Reward
    threshold: float | None
    max_concurrency: int | None

    def __init__(
        self,
        program: Program,
        n: int = 3,
        *,
        reward: Reward,
        threshold: float | None = None,
        temperature: float | None = 1.0,
        max_concurrency: int | None = None,
    ) -> None:
        if n < 1:
            raise ValueError(f"n must be 1 or more, got {n!r}")

        self.program = varied(program, temperature)
        self.n = n
        self.reward = reward
        self.threshold = threshold
        self.max_concurrency = max_concurrency

    async def forward(self, **inputs: Any) -> Prediction:
        """Return the best prediction for the inputs of the program."""
        candidates = await run_all(
            lambda index: try_program(self.program, inputs, self.reward, index, of=self.n),
            range(self.n),
            max_concurrency=self.max_concurrency,
            name="try",
            until=self._is_enough,
        )
        chosen = best(candidates)
        keep_trace(chosen, self.program)
        assert chosen.prediction is not None
        return chosen.prediction

    def _is_enough(self, candidate: Candidate) -> bool:
        return self.threshold is not None and candidate.reward >= self.threshold

    def input_names(self) -> list[str]:
        """Return the names of the inputs it takes, in order."""
        return self.program.input_names()


def varied(program: Program, temperature: float | None) -> Program:
    """Return the program with another temperature; itself if that is None."""
    return program if temperature is None else program.with_config(temperature=temperature)
