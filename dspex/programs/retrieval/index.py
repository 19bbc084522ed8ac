"""Texts by their meaning: vectors made once, searched by cosine."""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, Self, cast

from anyio import to_thread

from dspex.effects import find_runtime
from dspex.errors import LoadError
from dspex.messages import EmbedRequest
from dspex.programs.sampling import run_all
from dspex.recipe import Recipe

if TYPE_CHECKING:
    import os
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

    from dspex.messages import EmbedResponse

__all__ = ("Embedder", "Hit", "VectorIndex")

_FORMAT = 1
_NOT_OURS = (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile)


class Embedder(Protocol):
    """What turns texts into vectors: a client of a model that embeds."""

    async def embed(self, texts: EmbedRequest) -> EmbedResponse:
        """Return a vector for each text, in their order."""
        ...


@dataclass(frozen=True, slots=True)
class Hit:
    """A text that was found, where it stands in the index, and its cosine: 1 is the same."""

    text: str
    index: int
    score: float


class VectorIndex:
    """Texts with their vectors, immutable; every search compares with all of them.

    Made by `build` or `load`. A search over n texts of d dimensions costs n * d multiplications in
    numpy: some 10 ms for 100,000 texts of 256 dimensions.

    Args:
        texts: what is searched.
        vectors: (n_texts, n_dimensions) float32; they are scaled to length 1.
        embedder: a client, or "provider/model" of the runtime, that embeds questions in the same
            way; None is the runtime's default.
        path: the file it stands in, if it does.

    Raises:
        ValueError: there are not as many vectors as texts.
    """

    def __init__(
        self,
        texts: Sequence[str],
        vectors: NDArray[np.float32],
        *,
        embedder: Embedder | str | None = None,
        path: Path | None = None,
    ) -> None:
        if len(texts) != len(vectors):
            raise ValueError(f"{len(texts)} texts cannot have {len(vectors)} vectors")

        self.texts = tuple(texts)
        self.embedder = embedder
        self._vectors = _unit(vectors)
        self._path = path

    def __len__(self) -> int:
        return len(self.texts)

    def __repr__(self) -> str:
        return f"<VectorIndex of {len(self)} texts, {self._vectors.shape[1]} dimensions>"

    @classmethod
    async def build(
        cls,
        texts: Sequence[str],
        *,
        embedder: Embedder | str | None = None,
        batch_size: int = 128,
        max_concurrency: int = 8,
    ) -> Self:
        """Embed texts and return their index.

        Args:
            texts: what will be searched; at least one.
            embedder: who embeds; see the class.
            batch_size: texts in one request.
            max_concurrency: requests at the same time.

        Raises:
            ValueError: there are no texts.
            ProviderError: an embedding call failed.
        """
        import numpy as np

        if not texts:
            raise ValueError("there is nothing to search: texts is empty")

        batches = [texts[begin : begin + batch_size] for begin in range(0, len(texts), batch_size)]
        answers = await run_all(
            lambda batch: _client(embedder).embed(EmbedRequest(tuple(batch), purpose="document")),
            batches,
            name="embed",
            max_concurrency=max_concurrency,
        )
        rows = [vector for answer in answers for vector in answer.vectors]
        return cls(texts, np.asarray(rows, dtype=np.float32), embedder=embedder)

    async def search(self, question: str, k: int = 5) -> list[Hit]:
        """Return the `k` texts nearest to a question, the nearest first."""
        request = EmbedRequest((question,), purpose="query")
        answer = await _client(self.embedder).embed(request)
        return self.nearest(answer.vectors[0], k)

    def nearest(self, vector: Sequence[float], k: int = 5) -> list[Hit]:
        """Return the `k` texts nearest to a vector, the nearest first; equals in their order.

        Raises:
            ValueError: the vector has another number of dimensions, or k is less than 1.
        """
        import numpy as np

        if k < 1:
            raise ValueError(f"k must be 1 or more, got {k!r}")

        wanted = np.asarray([vector], dtype=np.float32)
        if wanted.shape[1] != self._vectors.shape[1]:
            raise ValueError(
                f"a vector of {wanted.shape[1]} dimensions was given to an index of "
                f"{self._vectors.shape[1]}: was it made by the same model?"
            )

        scores = self._vectors @ _unit(wanted)[0]
        order = np.argsort(-scores, kind="stable")[:k]
        return [Hit(self.texts[int(at)], int(at), float(scores[at])) for at in order]

    def digest(self) -> str:
        """Return a SHA-256 of texts and vectors."""
        texts = json.dumps(self.texts).encode()
        return hashlib.sha256(texts + self._vectors.tobytes()).hexdigest()

    def recipe(self) -> Recipe:
        """Return how to build it again: from its file.

        Raises:
            TypeError: it has none.
        """
        if self._path is None:
            raise TypeError(
                f"{self!r} cannot be rebuilt in another process: `await index.save(path)`, and "
                "use the index that it returns"
            )

        embedder = self.embedder if isinstance(self.embedder, str) else None
        path = f"{__name__}:VectorIndex.from_file"
        return Recipe(path, {"path": str(self._path), "embedder": embedder})

    async def save(self, path: str | os.PathLike[str]) -> Self:
        """Write texts and vectors to a file, data only, and return the index that stands there."""
        where = Path(path)
        await to_thread.run_sync(self._write, where)
        return type(self)(self.texts, self._vectors, embedder=self.embedder, path=where)

    @classmethod
    async def load(
        cls, path: str | os.PathLike[str], *, embedder: Embedder | str | None = None
    ) -> Self:
        """Read an index that `save` wrote.

        Raises:
            LoadError: there is no such file, or it is not one of ours.
        """
        return await to_thread.run_sync(lambda: cls.from_file(str(path), embedder=embedder))

    @classmethod
    def from_file(cls, path: str, *, embedder: Embedder | str | None = None) -> Self:
        """Read an index as `load` does, in this thread."""
        import numpy as np

        try:
            content = io.BytesIO(Path(path).read_bytes())
            with np.load(content, allow_pickle=False) as data:
                document = json.loads(bytes(data["document"]).decode())
                vectors = cast("NDArray[np.float32]", data["vectors"])
                if document["format"] != _FORMAT:
                    raise LoadError(
                        f"{path}: an index of format {document['format']!r}; this is {_FORMAT}"
                    )

                return cls(document["texts"], vectors, embedder=embedder, path=Path(path))
        except _NOT_OURS as exc:
            raise LoadError(f"{path}: not an index: {exc}") from exc

    def _write(self, path: Path) -> None:
        import numpy as np

        document = json.dumps({"format": _FORMAT, "texts": self.texts}).encode()
        scratch = path.with_name(f"{path.name}.new")
        with scratch.open("wb") as file:
            np.savez(file, document=np.frombuffer(document, dtype=np.uint8), vectors=self._vectors)

        scratch.replace(path)


def _client(embedder: Embedder | str | None) -> Embedder:
    if embedder is None or isinstance(embedder, str):
        return cast("Embedder", find_runtime().client(embedder))

    return embedder


def _unit(vectors: Any) -> NDArray[np.float32]:
    """Return vectors scaled to length 1; those without a direction stay as they are."""
    import numpy as np

    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    # What is of length 1 already stays as it is to the bit, so that a saved index keeps its digest.
    done = (lengths == 0) | (np.abs(lengths - 1) < 1e-6)
    return np.asarray(vectors / np.where(done, 1, lengths), dtype=np.float32)
