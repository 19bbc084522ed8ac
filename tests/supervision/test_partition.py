"""Partitions: the same child several times, routed to by key."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from supervision import ChildSpec, InvalidSpec, NoProc, PartitionSupervisor, Supervisor
from supervision.partition import partition_of


async def worker(number: object, *, ready: Any) -> None:
    """Say which one it is."""
    ready(number)
    await asyncio.Event().wait()


def numbered(args: tuple[object, ...], partition: int) -> tuple[object, ...]:
    """Append the number of the partition."""
    return (*args, partition)


SPEC = ChildSpec("ignored", worker)


async def test_routing() -> None:
    """P01, P02: ids from 0, int keys by remainder, others by a stable hash."""
    async with PartitionSupervisor(SPEC, partitions=4, with_arguments=numbered) as root:
        assert [row.id for row in root.which_children()] == [0, 1, 2, 3]
        assert [root.ref_for(key).info for key in (0, 5, -6)] == [0, 1, 2]
        assert root.ref_for("some key").info == partition_of("some key", 4)

    assert [partition_of(key, 4) for key in ("a", "b", ("c", 1))] == [2, 1, 0]


async def test_resize() -> None:
    """P03: shrinks from the top and grows again; none left means nobody to ask."""
    async with PartitionSupervisor(SPEC, partitions=3, with_arguments=numbered) as root:
        assert await root.resize(1) == 3
        assert [row.pid is not None for row in root.which_children()] == [True, False, False]
        assert root.ref_for(5).info == 0
        assert await root.resize(0) == 1
        with pytest.raises(NoProc):
            root.ref_for(5)

        assert await root.resize(3) == 0
        assert root.ref_for(5).info == 2
        with pytest.raises(ValueError, match="0 to 3"):
            await root.resize(4)


async def test_wrong_flags() -> None:
    """P01, P02: at least one partition, and args that are a tuple."""
    with pytest.raises(InvalidSpec, match="invalid_partitions"):
        PartitionSupervisor(SPEC, partitions=0)

    with pytest.raises(InvalidSpec, match="invalid_arguments"):
        PartitionSupervisor(SPEC, with_arguments=lambda args, n: [n])  # type: ignore[arg-type, return-value]


async def test_nested() -> None:
    """P01: a partition supervisor is a child like any other."""
    nested = PartitionSupervisor.child(SPEC, partitions=2, with_arguments=numbered)
    async with Supervisor([ChildSpec("parts", nested)]) as root:
        assert root.ref("parts", PartitionSupervisor).ref(1).info == 1
