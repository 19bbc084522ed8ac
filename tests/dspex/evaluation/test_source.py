"""The dataset is pulled as late as possible, and what is wrong with it stops nothing finished."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Iterator
from typing import Any

import pytest

from dspex.errors import DatasetError
from dspex.evaluation.source import Job, Source, example_key
from dspex.signatures.example import Example


def example(number: int) -> Example:
    """Return a data point."""
    return Example(question=str(number), answer="x").with_inputs("question")


async def pull(source: Source) -> list[Job]:
    """Take all jobs, of either kind of dataset."""
    jobs = source.jobs()
    if isinstance(jobs, Iterable):
        return list(jobs)

    return [job async for job in jobs]


async def as_async(items: Iterable[Any]) -> AsyncIterator[Any]:
    """Yield items as an async iterable does."""
    for item in items:
        yield item


def failing(good: int) -> Iterator[Example]:
    """Give some examples, then fail as a broken disk does."""
    yield from map(example, range(good))
    raise OSError("disk gone")


both_kinds = pytest.mark.parametrize("wrap", [iter, as_async], ids=["sync", "async"])


@both_kinds
class TestPulling:
    async def test_numbers_examples(self, wrap: Any) -> None:
        """Jobs carry their place."""
        source = Source(wrap(map(example, range(3))))
        assert [job.index for job in await pull(source)] == [0, 1, 2]
        assert (source.pulled, source.total, source.error) == (3, 3, None)

    async def test_failing_dataset_ends_quietly(self, wrap: Any) -> None:
        """What was pulled is kept; the error waits, with its cause."""
        source = Source(wrap(failing(2)))
        assert len(await pull(source)) == 2
        assert "failed at item 2: OSError: disk gone" in str(source.error)
        assert source.error is not None
        assert isinstance(source.error.__cause__, OSError)
        assert source.total is None

    async def test_foreign_item_ends_quietly(self, wrap: Any) -> None:
        """Something that is no Example is named, with its place."""
        source = Source(wrap([example(0), {"question": "?"}, example(2)]))
        assert len(await pull(source)) == 1
        assert "item 1 of the dataset is {'question': '?'} (dict)" in str(source.error)

    async def test_close_ends_the_jobs(self, wrap: Any) -> None:
        """A closed source gives nothing more."""
        source = Source(wrap(map(example, range(3))))
        source.close()
        assert await pull(source) == []


class TestSource:
    def test_pulls_one_by_one(self) -> None:
        """Nothing is read ahead."""
        seen: list[int] = []

        def watched() -> Iterator[Example]:
            for number in range(10):
                seen.append(number)
                yield example(number)

        jobs = Source(watched()).jobs()
        assert isinstance(jobs, Iterator)
        next(jobs)
        assert seen == [0]

    def test_length_is_known_of_a_list(self) -> None:
        """Progress has a total where the dataset has a length."""
        assert Source([example(0)] * 5).total == 5
        assert Source(iter([example(0)])).total is None

    @pytest.mark.parametrize("dataset", [None, 7, example])
    def test_no_dataset(self, dataset: Any) -> None:
        """What cannot be iterated is refused."""
        with pytest.raises(DatasetError, match="is not a dataset"):
            Source(dataset).jobs()

    @pytest.mark.parametrize("wrap", [list, iter], ids=["list", "iterator"])
    def test_kept_examples_come_again_in_order(self, wrap: Any) -> None:
        """Unavailable examples come again, as often as they are kept again."""
        source = Source(wrap([example(number) for number in range(4)]))
        jobs = source.jobs()
        assert isinstance(jobs, Iterator)
        taken = list(jobs)
        source.keep(taken[3])
        source.keep(taken[1])
        again = list(source.kept_jobs())
        assert again == [Job(1, example(1), 1), Job(3, example(3), 1)]
        assert source.kept == 0
        source.keep(again[0])
        assert list(source.kept_jobs()) == [Job(1, example(1), 2)]

    def test_what_is_kept_meanwhile_waits_for_the_next_round(self) -> None:
        """An example that fails again at once is not run for ever in one round."""
        source = Source([example(0)])
        source.keep(Job(0, example(0)))
        rounds = 0
        for job in source.kept_jobs():
            source.keep(job)
            rounds += 1

        assert (rounds, source.kept) == (1, 1)

    def test_memory_for_another_try_is_bounded(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """In an endless outage the dataset is not collected in memory."""
        monkeypatch.setattr("dspex.evaluation.source._MAX_KEPT", 3)
        source = Source([])
        for index in range(10):
            source.keep(Job(index, example(index)))

        assert source.kept == 3

    def test_closed_source_gives_no_second_chance(self) -> None:
        """A run that stops does not begin again."""
        source = Source([example(0)])
        source.keep(Job(0, example(0)))
        source.close()
        assert list(source.kept_jobs()) == []


class TestKey:
    def test_depends_on_example_and_place(self) -> None:
        """Equal examples at different places are different rows."""
        keys = {example_key(0, example(1)), example_key(1, example(1)), example_key(0, example(2))}
        assert len(keys) == 3
        assert all(len(key) == 16 for key in keys)

    def test_is_stable(self) -> None:
        """The key is the same in every process and version: reports are compared by it."""
        assert example_key(7, example(1)) == "505b4c85d6f4e302"

    def test_example_that_cannot_be_digested(self) -> None:
        """A value without a JSON form leaves the place as the name."""
        odd = Example(question="?", answer=object()).with_inputs("question")
        assert example_key(0, odd) != example_key(1, odd)


class Unprintable:
    def __repr__(self) -> str:
        raise RuntimeError("no text")


def test_whatever_an_example_holds_it_has_a_key() -> None:
    """Values that hold themselves, or cannot be shown, leave the key to the place."""
    endless: list[Any] = []
    endless.append(endless)
    for value in (endless, Unprintable(), object()):
        strange = Example(question="x", value=value).with_inputs("question")
        assert example_key(3, strange) == example_key(3, strange)
        assert example_key(3, strange) != example_key(4, strange)


async def test_an_example_without_inputs_ends_the_dataset() -> None:
    """It cannot be run: the error names its place and says what to write."""
    source = Source([example(0), Example(question="1")])

    assert [job.index for job in await pull(source)] == [0]
    assert "item 1 of the dataset" in str(source.error)
    assert ".with_inputs(" in str(source.error)
