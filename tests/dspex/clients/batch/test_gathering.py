"""Requests go together by path and model, until there are enough or it has been long enough."""

from __future__ import annotations

from hypothesis import given, strategies as st

from dspex.clients.batch.gathering import Gathering, Group
from dspex.clients.batch.line import BatchLine
from dspex.clients.batch.open_batch import Waiter
from dspex.clients.batch.settings import BatchSettings

SETTINGS = BatchSettings(max_requests=3, max_bytes=2_000, max_wait_s=5.0)


def waiter(number: int, *, model: str = "m", size: int = 10) -> Waiter:
    return Waiter(BatchLine(str(number), model, "/chat", b"x" * size))


def taken(gathering: Gathering, now: float) -> list[Group]:
    found = list[Group]()
    while (group := gathering.take(now)) is not None:
        found.append(group)

    return found


async def test_the_first_sets_the_time() -> None:
    """Later ones do not put it off."""
    gathering = Gathering(SETTINGS)
    gathering.add(waiter(0), 100.0)
    gathering.add(waiter(1), 104.0)

    assert [105.0] == gathering.due_at()
    assert gathering.take(104.9) is None
    (group,) = taken(gathering, 105.0)
    assert ["0", "1"] == [waiting.line.id for waiting in group.waiters]
    assert [] == list(gathering)


async def test_models_do_not_mix() -> None:
    """A file of requests may name but one."""
    gathering = Gathering(SETTINGS)
    for number, model in enumerate(("a", "b", "a")):
        gathering.add(waiter(number, model=model), 0.0)

    assert [2, 1] == [len(group.waiters) for group in taken(gathering, 5.0)]


@given(st.lists(st.integers(0, 3_000), max_size=30))
async def test_no_group_is_too_large_and_none_is_lost(sizes: list[int]) -> None:
    """Unless a single request is; it goes alone."""
    gathering = Gathering(SETTINGS)
    for number, size in enumerate(sizes):
        gathering.add(waiter(number, size=size), 0.0)

    groups = taken(gathering, 5.0)
    ids = [waiting.line.id for group in groups for waiting in group.waiters]
    assert [str(number) for number in range(len(sizes))] == ids
    for group in groups:
        assert len(group.waiters) <= 3
        assert len(group.waiters) == 1 or group.size <= 2_000
