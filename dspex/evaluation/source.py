"""The dataset as a run reads it: numbered, as late as possible, and not trusted."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterable, AsyncIterator, Iterable, Iterator, Sequence, Sized
from dataclasses import dataclass
from typing import Final, TypeAlias, cast

from dspex.errors import DatasetError
from dspex.signatures.example import Example

__all__ = ("Dataset", "Job", "Source", "example_key")

Dataset: TypeAlias = Iterable[Example] | AsyncIterable[Example]
"""Examples, lazily pulled. A sequence can also be asked again for what was unavailable."""

_MAX_KEPT: Final = 50_000


@dataclass(frozen=True, slots=True)
class Job:
    """One example to be run; `retry` is 1 at the second time."""

    index: int
    example: Example
    retry: int = 0


def example_key(index: int, example: Example) -> str:
    """Return 16 hexadecimal digits for the example at this place, the same in every process.

    An example with a value that has no JSON form is named by its place alone.
    """
    try:
        digest = example.digest()
    except Exception:  # a value may hold itself, or have a broken `__repr__`
        digest = ""

    return hashlib.blake2b(f"{index}:{digest}".encode(), digest_size=8).hexdigest()


class Source:
    """Gives jobs until the dataset ends, fails, or `close` is called.

    What goes wrong with the dataset is not raised into the run but kept in `error`: what has been
    pulled before is worth finishing.
    """

    def __init__(self, dataset: Dataset) -> None:
        self._dataset = cast("object", dataset)
        self._sequence = dataset if isinstance(dataset, Sequence) else None
        self._kept: dict[int, tuple[Example | None, str]] = {}
        self._closed = False
        self._ended = False
        self.pulled = 0
        self.error: DatasetError | None = None

    @property
    def total(self) -> int | None:
        """How many examples there are; None while that is not known."""
        if isinstance(self._dataset, Sized):
            return len(self._dataset)

        return self.pulled if self._ended else None

    def jobs(self) -> Iterable[Job] | AsyncIterable[Job]:
        """Return the examples as jobs, pulled one by one."""
        if isinstance(self._dataset, AsyncIterable):
            return self._pull_async(cast("AsyncIterable[object]", self._dataset))

        if isinstance(self._dataset, Iterable):
            return self._pull(cast("Iterable[object]", self._dataset))

        raise DatasetError(
            f"{self._dataset!r} is not a dataset: give an iterable or async iterable of Examples"
        )

    def close(self) -> None:
        """Give no more jobs."""
        self._closed = True

    def keep(self, job: Job, group_name: str) -> None:
        """Remember an unavailable example, within bounds, and the group of its error."""
        if not job.retry and len(self._kept) < _MAX_KEPT:
            example = job.example if self._sequence is None else None
            self._kept[job.index] = (example, group_name)

    def kept_group(self, index: int) -> str:
        """Return the group that the earlier error of a kept example is counted in."""
        return self._kept[index][1]

    def kept_jobs(self) -> Iterator[Job]:
        """Return the kept examples again, in dataset order."""
        for index in sorted(self._kept):
            if self._closed:
                return

            example = self._kept[index][0]
            if example is None:
                assert self._sequence is not None
                example = self._sequence[index]

            yield Job(index, example, 1)

    @property
    def kept(self) -> int:
        """How many examples could be run again."""
        return len(self._kept)

    def _pull(self, dataset: Iterable[object]) -> Iterator[Job]:
        items = iter(dataset)
        while not self._closed:
            try:
                item = next(items)
            except StopIteration:
                self._ended = True
                return
            except Exception as exc:
                self._fail(exc)
                return

            job = self._number(item)
            if job is None:
                return

            yield job

    async def _pull_async(self, dataset: AsyncIterable[object]) -> AsyncIterator[Job]:
        items = aiter(dataset)
        while not self._closed:
            try:
                item = await anext(items)
            except StopAsyncIteration:
                self._ended = True
                return
            except Exception as exc:
                self._fail(exc)
                return

            job = self._number(item)
            if job is None:
                return

            yield job

    def _number(self, item: object) -> Job | None:
        if not isinstance(item, Example):
            self.error = DatasetError(
                f"item {self.pulled} of the dataset is {item!r} ({type(item).__name__}), not an "
                "Example: write Example(question=..., answer=...).with_inputs('question')"
            )
            return None

        if item.input_names is None:
            self.error = DatasetError(
                f"item {self.pulled} of the dataset, {item!r}, does not say which fields are "
                "inputs: add .with_inputs('question')"
            )
            return None

        self.pulled += 1
        return Job(self.pulled - 1, item)

    def _fail(self, exc: Exception) -> None:
        self.error = DatasetError(
            f"the dataset failed at item {self.pulled}: {type(exc).__name__}: {exc}"
        )
        self.error.__cause__ = exc
