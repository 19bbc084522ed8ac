"""Passages and examples that are near to what is asked."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

from dspex.adapters.rendering import render_value
from dspex.programs.program import Program
from dspex.programs.retrieval.index import VectorIndex
from dspex.signatures.prediction import Prediction

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from dspex.programs.retrieval.index import Embedder
    from dspex.signatures.example import Example

__all__ = ("KNN", "Retrieve")


class Retrieve(Program):
    """Gives the passages of an index that are nearest to a query.

        retrieve = Retrieve(await VectorIndex.build(passages, embedder="openai/some-embedder"))
        found = await retrieve(query="who wrote it?")
        found.passages, found.scores

    Args:
        index: what is searched.
        k: how many passages.
    """

    index: VectorIndex
    k: int

    def __init__(self, index: VectorIndex, *, k: int = 3) -> None:
        if k < 1:
            raise ValueError(f"k must be 1 or more, got {k!r}")

        self.index = index
        self.k = k

    async def forward(self, query: str) -> Prediction:
        """Return `passages` and `scores`, the nearest first."""
        hits = await self.index.search(query, self.k)
        return Prediction(passages=[hit.text for hit in hits], scores=[hit.score for hit in hits])


class KNN:
    """Finds the examples whose inputs are nearest to given ones, for use as demonstrations.

    near = await KNN.build(trainset)
    better = predict.with_demos(await near(question="...", k=4))
    """

    def __init__(self, examples: Sequence[Example], index: VectorIndex) -> None:
        if len(examples) != len(index):
            raise ValueError(f"{len(examples)} examples cannot have an index of {len(index)}")

        self._examples = tuple(examples)
        self._index = index

    def __repr__(self) -> str:
        return f"<KNN over {len(self._examples)} examples>"

    @classmethod
    async def build(
        cls, examples: Sequence[Example], *, embedder: Embedder | str | None = None
    ) -> Self:
        """Embed the inputs of examples once.

        Raises:
            ValueError: there are no examples.
            DatasetError: an example does not say which of its fields are inputs.
        """
        texts = [_text(example.inputs()) for example in examples]
        return cls(examples, await VectorIndex.build(texts, embedder=embedder))

    async def __call__(self, /, k: int = 4, **inputs: Any) -> list[Example]:
        """Return the `k` examples with the nearest inputs, the nearest first."""
        hits = await self._index.search(_text(inputs), k)
        return [self._examples[hit.index] for hit in hits]


def _text(inputs: Mapping[str, Any]) -> str:
    return "\n".join(f"{name}: {render_value(value)}" for name, value in inputs.items())
