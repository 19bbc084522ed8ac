"""Predict that lets the model think first."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dspex.messages import Sampling
from dspex.programs.predict import Predict
from dspex.signatures.fields import Field, OutputField
from dspex.signatures.signature import SignatureLike, make_signature

if TYPE_CHECKING:
    from dspex.adapters.protocol import Adapter
    from dspex.clients.protocol import ModelClient
    from dspex.programs.program import Demos

__all__ = ("ChainOfThought",)

_SAMPLING = Sampling()
_REASONING: Field = OutputField(desc="the steps that lead to the answer")


class ChainOfThought(Predict):
    """Asks for `reasoning` before the outputs of a signature.

    Args:
        signature: a string, a Signature, or a class that declares one; it must not have an output
            called `reasoning`.
        reasoning: `OutputField(...)` that describes the reasoning in another way.
        settings: those of `Predict`.
    """

    def __init__(
        self,
        signature: SignatureLike,
        *,
        reasoning: Any = _REASONING,
        client: ModelClient | str | None = None,
        adapter: Adapter | None = None,
        demos: Demos = (),
        config: Sampling = _SAMPLING,
        max_repairs: int = 1,
    ) -> None:
        super().__init__(
            make_signature(signature).prepend("reasoning", reasoning),
            client=client,
            adapter=adapter,
            demos=demos,
            config=config,
            max_repairs=max_repairs,
        )
