"""VectorIndex: built once, searched exactly, saved as data."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, strategies as st

from dspex.errors import ErrorData, ErrorKind, LoadError, ServerError
from dspex.messages import EmbedRequest, EmbedResponse
from dspex.programs.retrieval import Retrieve, VectorIndex
from dspex.programs.saving import load


class Letters:
    """Embeds a text as how often it holds a, b and c."""

    def __init__(self) -> None:
        self.requests: list[EmbedRequest] = []

    async def embed(self, texts: EmbedRequest) -> EmbedResponse:
        self.requests.append(texts)
        rows = tuple(tuple(float(text.count(x)) for x in "abc") for text in texts.texts)
        return EmbedResponse(rows)


TEXTS = ["aaa", "bbb", "abab", "ccc"]


class TestBuild:
    async def test_the_nearest_come_first(self) -> None:
        """By cosine, so that length does not count."""
        index = await VectorIndex.build(TEXTS, embedder=Letters())
        hits = await index.search("aaaaaab", 2)
        assert [hit.text for hit in hits] == ["aaa", "abab"]
        assert [hit.index for hit in hits] == [0, 2]
        assert hits[0].score > hits[1].score > 0.7

    async def test_texts_go_in_batches(self) -> None:
        """Documents and questions say what they are."""
        letters = Letters()
        index = await VectorIndex.build(TEXTS, embedder=letters, batch_size=3)
        await index.search("a")
        assert [len(request.texts) for request in letters.requests] == [3, 1, 1]
        assert [r.purpose for r in letters.requests] == ["document", "document", "query"]

    async def test_nothing_to_search(self) -> None:
        """Refused before anybody is asked."""
        with pytest.raises(ValueError, match="texts is empty"):
            await VectorIndex.build([], embedder=Letters())

    async def test_an_embedding_call_that_fails(self) -> None:
        """Its own error comes out."""

        class Down:
            async def embed(self, texts: EmbedRequest) -> EmbedResponse:
                raise ServerError(ErrorData(ErrorKind.SERVER, "down", status=503))

        with pytest.raises(ServerError):
            await VectorIndex.build(TEXTS, embedder=Down())


class TestNearest:
    @given(st.lists(st.tuples(*[st.floats(-1, 1, width=32)] * 3), min_size=1, max_size=20))
    def test_as_computed_by_hand(self, rows: list[tuple[float, float, float]]) -> None:
        """Every score is the cosine, and they fall."""
        vectors = np.asarray(rows, dtype=np.float32)
        index = VectorIndex([str(n) for n in range(len(rows))], vectors)
        hits = index.nearest((1.0, 0.0, 0.0), len(rows))
        assert sorted(hit.index for hit in hits) == list(range(len(rows)))
        assert [h.score for h in hits] == sorted((h.score for h in hits), reverse=True)
        for hit in hits:
            length = float(np.linalg.norm(vectors[hit.index]))
            expected = float(vectors[hit.index][0]) / length if length else 0.0
            assert hit.score == pytest.approx(expected, abs=1e-3)

    def test_equals_keep_their_order(self) -> None:
        """So the result is the same each time."""
        index = VectorIndex(["x", "y"], np.ones((2, 3), dtype=np.float32))
        assert [hit.text for hit in index.nearest((1.0, 1.0, 1.0))] == ["x", "y"]

    def test_a_vector_of_another_model(self) -> None:
        """The dimensions are told."""
        index = VectorIndex(["x"], np.ones((1, 3), dtype=np.float32))
        with pytest.raises(ValueError, match="2 dimensions was given to an index of 3"):
            index.nearest((1.0, 0.0))

    def test_no_hits_wanted(self) -> None:
        """At least one must be."""
        index = VectorIndex(["x"], np.ones((1, 3), dtype=np.float32))
        with pytest.raises(ValueError, match="k must be 1"):
            index.nearest((1.0, 0.0, 0.0), 0)

    def test_texts_without_vectors(self) -> None:
        """They must be as many."""
        with pytest.raises(ValueError, match="2 texts cannot have 1 vectors"):
            VectorIndex(["x", "y"], np.ones((1, 3), dtype=np.float32))


class TestFile:
    async def test_it_comes_back(self, tmp_path: Path) -> None:
        """Texts and vectors, the same digest, the same hits."""
        index = await VectorIndex.build(TEXTS, embedder=Letters())
        await index.save(tmp_path / "index.npz")
        again = await VectorIndex.load(tmp_path / "index.npz", embedder=Letters())
        assert again.texts == index.texts
        assert again.digest() == index.digest()
        assert await again.search("cc", 1) == await index.search("cc", 1)

    async def test_a_program_with_it_is_saved_by_its_file(self, tmp_path: Path) -> None:
        """An index that stands nowhere cannot be rebuilt, and the error says what to do."""
        index = await VectorIndex.build(TEXTS, embedder=Letters())
        with pytest.raises(TypeError, match=r"index\.save"):
            await Retrieve(index).save(tmp_path / "program.json")

        stored = await index.save(tmp_path / "index.npz")
        await Retrieve(stored, k=2).save(tmp_path / "program.json")
        loaded = await load(tmp_path / "program.json")
        assert isinstance(loaded, Retrieve)
        assert (loaded.index.texts, loaded.k) == (index.texts, 2)

    @pytest.mark.parametrize("content", [b"", b"nonsense", b"PK\x03\x04broken"], ids=repr)
    async def test_a_file_that_is_none(self, tmp_path: Path, content: bytes) -> None:
        """The path is named."""
        (tmp_path / "x.npz").write_bytes(content)
        with pytest.raises(LoadError, match=r"x\.npz: not an index"):
            await VectorIndex.load(tmp_path / "x.npz")

    async def test_no_file(self, tmp_path: Path) -> None:
        """So is one that is missing."""
        with pytest.raises(LoadError, match="nowhere"):
            await VectorIndex.load(tmp_path / "nowhere.npz")

    async def test_a_file_from_the_future(self, tmp_path: Path, monkeypatch: Any) -> None:
        """Its format is told."""
        index = VectorIndex(["x"], np.ones((1, 3), dtype=np.float32))
        with monkeypatch.context() as patch:
            patch.setattr("dspex.programs.retrieval.index._FORMAT", 9)
            await index.save(tmp_path / "x.npz")

        with pytest.raises(LoadError, match="format 9"):
            await VectorIndex.load(tmp_path / "x.npz")
