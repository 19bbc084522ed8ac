"""Retrieve and KNN: passages and examples near to what is asked."""

from __future__ import annotations

import pytest

from dspex.errors import DatasetError
from dspex.messages import EmbedRequest, EmbedResponse
from dspex.programs.predict import Predict
from dspex.programs.retrieval import KNN, Retrieve, VectorIndex
from dspex.signatures.example import Example


class Letters:
    """Embeds a text as how often it holds x, y and z."""

    async def embed(self, texts: EmbedRequest) -> EmbedResponse:
        return EmbedResponse(
            tuple(tuple(float(text.count(x)) for x in "xyz") for text in texts.texts)
        )


class TestRetrieve:
    async def test_passages_and_scores(self) -> None:
        """The nearest first, as many as wanted."""
        index = await VectorIndex.build(["xx", "yy", "xyx"], embedder=Letters())
        found = await Retrieve(index, k=2)(query="xxx")
        assert found.passages == ["xx", "xyx"]
        assert found.scores[0] == pytest.approx(1.0)

    async def test_no_passages_wanted(self) -> None:
        """Refused when it is built."""
        index = await VectorIndex.build(["xx"], embedder=Letters())
        with pytest.raises(ValueError, match="k must be 1"):
            Retrieve(index, k=0)


def example(word: str) -> Example:
    return Example(word=word, answer=word.upper()).with_inputs("word")


class TestKNN:
    async def test_near_examples_become_demonstrations(self) -> None:
        """Only the inputs are compared."""
        near = await KNN.build([example(w) for w in ("xx", "yy", "zz")], embedder=Letters())
        (demo,) = await near(word="yyy", k=1)
        assert demo.answer == "YY"
        assert Predict("word -> answer").with_demos([demo]).demos == (demo,)

    async def test_examples_must_say_what_their_inputs_are(self) -> None:
        """Otherwise the answer would be compared as well."""
        with pytest.raises(DatasetError, match="which fields"):
            await KNN.build([Example(word="x", answer="X")], embedder=Letters())

    async def test_an_index_of_something_else(self) -> None:
        """Examples and index must belong together."""
        index = await VectorIndex.build(["xx"], embedder=Letters())
        with pytest.raises(ValueError, match="2 examples cannot have an index of 1"):
            KNN([example("x"), example("y")], index)
