"""Several chains of thought, compared by the model before it answers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dspex.messages import Sampling
from dspex.programs.chain_of_thought import ChainOfThought
from dspex.programs.predict import Predict
from dspex.programs.program import Program
from dspex.programs.sampling import run_all, sampled
from dspex.signatures.fields import Field, InputField, OutputField
from dspex.signatures.signature import Signature, SignatureLike, make_signature

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dspex.clients.protocol import ModelClient
    from dspex.signatures.prediction import Prediction

__all__ = ("MultiChainComparison",)

_RATIONALE: Field = OutputField(
    desc="what is right and wrong in the attempts, and the corrected reasoning"
)


class MultiChainComparison(Program):
    """Thinks `m` times at once, then answers after comparing the attempts.

    Args:
        signature: a string, a Signature, or a class that declares one.
        m: how many attempts.
        temperature: of the attempts, which should differ; the comparison keeps the default.
        client: who answers; see `Predict`.
    """

    think: ChainOfThought
    compare: Predict
    m: int

    def __init__(
        self,
        signature: SignatureLike,
        *,
        m: int = 3,
        temperature: float | None = 0.7,
        client: ModelClient | str | None = None,
    ) -> None:
        if m < 1:
            raise ValueError(f"m must be 1 or more, got {m!r}")

        asked = make_signature(signature)
        self.m = m
        self.think = ChainOfThought(asked, client=client, config=Sampling(temperature=temperature))
        self.compare = Predict(_comparison(asked, m), client=client)

    async def forward(
        self, /, completions: Sequence[Prediction] | None = None, **inputs: Any
    ) -> Prediction:
        """Return the answer after comparison.

        Args:
            completions: attempts that were made already, `m` of them; None makes them.
            inputs: those of the signature.
        """
        chains = await self._think(inputs) if completions is None else list(completions)
        if len(chains) != self.m:
            raise ValueError(f"{self.m} attempts are compared, got {len(chains)}")

        attempts = {f"attempt_{n}": _told(chain) for n, chain in enumerate(chains, 1)}
        return await self.compare(**inputs, **attempts)

    async def _think(self, inputs: dict[str, Any]) -> list[Prediction]:
        return await run_all(
            lambda index: sampled(self.think, inputs, index, of=self.m),
            range(self.m),
            name="chain",
        )

    def input_names(self) -> list[str]:
        """Return the names of the inputs it takes, in order."""
        return self.think.input_names()


def _comparison(signature: Signature, m: int) -> Signature:
    compared = signature.append_instructions(
        f"{m} attempts at this are given. Compare them before you answer; they may be wrong."
    )
    for number in range(1, m + 1):
        attempt: Field = InputField(desc=f"attempt {number}: reasoning and answer")
        compared = compared.append(f"attempt_{number}", attempt)

    return compared.prepend("rationale", _RATIONALE)


def _told(chain: Prediction) -> str:
    values = {name: chain[name] for name in chain}
    reasoning = values.pop("reasoning", None) or values.pop("rationale", None)
    answer = "; ".join(f"{name}: {value}" for name, value in values.items())
    return f"{reasoning}\nSo: {answer}" if reasoning else answer
