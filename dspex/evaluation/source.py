"""The dataset as a run reads it: numbered, as late as possible, and not trusted."""

from __future__ import annotations

import asyncio
import hashlib
import random
from array import array
from collections.abc import (
    AsyncGenerator,
    AsyncIterable,
    AsyncIterator,
    Iterable,
    Iterator,
    Sequence,
    Sized,
)
from dataclasses import dataclass, replace
from itertools import count
from typing import TYPE_CHECKING, Final, Protocol, TypeAlias, cast

from dspex.errors import DatasetError
from dspex.signatures.example import Example

if TYPE_CHECKING:
    from dspex.evaluation.clusters import Clusters

__all__ = ("Dataset", "Job", "Missing", "Source", "example_key")

Dataset: TypeAlias = Iterable[Example] | AsyncIterable[Example]
"""Examples, lazily pulled. A sequence can also be asked again for what was unavailable."""

_MAX_KEPT: Final = 50_000
_ITEMS_PER_TURN: Final = 200
_NARROW: Final = 1 << 32


@dataclass(frozen=True, slots=True)
class Job:
    """One example to be run; `retry` counts the earlier times it was unavailable."""

    index: int
    example: Example
    retry: int = 0
    epoch: int = 0


class Missing(Protocol):
    """What an earlier session of the run has left to be done."""

    def __call__(self, index: int, example: Example) -> Iterable[Job]:
        """Return the jobs of this example; raise EvaluationError if it is another than then."""
        ...


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

    Args:
        dataset: the examples.
        epochs: how many jobs each example becomes.
        shuffle_seed: the examples come in the order that this seed gives; None: in their own.
        clusters: takes note of each example's cluster.

    Raises:
        DatasetError: a dataset that cannot be indexed is to be shuffled.
    """

    def __init__(
        self,
        dataset: Dataset,
        *,
        epochs: int = 1,
        shuffle_seed: int | None = None,
        clusters: Clusters | None = None,
    ) -> None:
        self._dataset = cast("object", dataset)
        self._sequence = dataset if isinstance(dataset, Sequence) else None
        self._epochs = epochs
        self._seed = shuffle_seed
        self._clusters = clusters
        self._missing: Missing | None = None
        self._kept: dict[tuple[int, int], Job] = {}
        self._closed = False
        self._ended = False
        self.pulled = 0
        self.error: DatasetError | None = None
        if shuffle_seed is not None and self._sequence is None:
            raise DatasetError(
                f"shuffle=True needs a dataset that can be indexed, such as a list; this is a "
                f"{type(dataset).__name__}"
            )

    @property
    def total(self) -> int | None:
        """How many examples there are; None while that is not known."""
        if isinstance(self._dataset, Sized):
            return len(self._dataset)

        return self.pulled if self._ended else None

    @property
    def has_ended(self) -> bool:
        """Whether the dataset came to its end by itself."""
        return self._ended

    def resume(self, missing: Missing) -> None:
        """Give only the jobs that `missing` names for each example."""
        self._missing = missing

    def jobs(self) -> Iterator[Job] | AsyncGenerator[Job, None]:
        """Return the examples as jobs, pulled one by one."""
        if isinstance(self._dataset, AsyncIterable):
            return self._pull_async(aiter(cast("AsyncIterable[object]", self._dataset)), count())

        if not isinstance(self._dataset, Iterable):
            raise DatasetError(
                f"{self._dataset!r} is not a dataset: give an iterable or async iterable of "
                "Examples"
            )

        items, numbers = self._in_order(cast("Iterable[object]", self._dataset))
        if self._missing is None:
            return self._pull(items, numbers)

        # What is there already is passed over by the thousand, and others want the loop too.
        return self._pull_async(_in_turns(items), numbers)

    def close(self) -> None:
        """Give no more jobs."""
        self._closed = True

    def keep(self, job: Job) -> None:
        """Remember the job of an unavailable example, within bounds, to be given again."""
        if len(self._kept) < _MAX_KEPT:
            self._kept[job.index, job.epoch] = job

    def kept_jobs(self) -> Iterator[Job]:
        """Return what was kept until now, in dataset order; what is kept meanwhile waits."""
        kept, self._kept = self._kept, {}
        for place in sorted(kept):
            if self._closed:
                return

            job = kept.pop(place)
            yield replace(job, retry=job.retry + 1)

    @property
    def kept(self) -> int:
        """How many examples could be run again."""
        return len(self._kept)

    def _in_order(self, dataset: Iterable[object]) -> tuple[Iterator[object], Iterator[int]]:
        sequence = self._sequence
        if self._seed is None or sequence is None:
            return iter(dataset), count()

        order = array("I" if len(sequence) < _NARROW else "Q", range(len(sequence)))
        random.Random(self._seed).shuffle(order)
        return map(sequence.__getitem__, order), iter(order)

    def _pull(self, items: Iterator[object], numbers: Iterator[int]) -> Iterator[Job]:
        while not self._closed:
            try:
                item = next(items)
            except StopIteration:
                self._ended = True
                return
            except Exception as exc:
                self._fail(exc)
                return

            for job in self._jobs_of(next(numbers), item):
                if self._closed:
                    return

                yield job

    async def _pull_async(
        self, items: AsyncIterator[object], numbers: Iterator[int]
    ) -> AsyncGenerator[Job, None]:
        try:
            while not self._closed:
                try:
                    item = await anext(items)
                except StopAsyncIteration:
                    self._ended = True
                    return
                except Exception as exc:
                    self._fail(exc)
                    return

                for job in self._jobs_of(next(numbers), item):
                    if self._closed:
                        return

                    yield job
        finally:
            close = getattr(items, "aclose", None)
            if close is not None:
                await close()

    def _jobs_of(self, index: int, item: object) -> Iterable[Job]:
        example = self._checked(index, item)
        if example is None:
            self._closed = True
            return ()

        self.pulled += 1
        if self._missing is not None:
            return self._missing(index, example)

        if self._epochs == 1:
            return (Job(index, example),)

        return [Job(index, example, epoch=epoch) for epoch in range(self._epochs)]

    def _checked(self, index: int, item: object) -> Example | None:
        if not isinstance(item, Example):
            self.error = DatasetError(
                f"item {index} of the dataset is {item!r} ({type(item).__name__}), not an "
                "Example: write Example(question=..., answer=...).with_inputs('question')"
            )
            return None

        if item.input_names is None:
            self.error = DatasetError(
                f"item {index} of the dataset, {item!r}, does not say which fields are "
                "inputs: add .with_inputs('question')"
            )
            return None

        try:
            if self._clusters is not None:
                self._clusters.note(index, item)
        except DatasetError as exc:
            self.error = exc
            return None

        return item

    def _fail(self, exc: Exception) -> None:
        self.error = DatasetError(
            f"the dataset failed at item {self.pulled}: {type(exc).__name__}: {exc}"
        )
        self.error.__cause__ = exc


async def _in_turns(items: Iterator[object]) -> AsyncIterator[object]:
    for number, item in enumerate(items):
        if number % _ITEMS_PER_TURN == 0:
            await asyncio.sleep(0)

        yield item
