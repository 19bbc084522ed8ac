"""The same child several times over, and a key that says which one to use."""

from __future__ import annotations

import dataclasses
import os
import zlib
from typing import TYPE_CHECKING, Any

from supervision.errors import InvalidSpec, NoProc
from supervision.root import Nested
from supervision.spec import ChildSpec, Strategy
from supervision.supervisor import Supervisor

if TYPE_CHECKING:
    from collections.abc import Callable

    from supervision.ref import Ref

__all__ = (
    "PartitionSupervisor",
    "partition_of",
)


def partition_of(key: object, partitions: int) -> int:
    """Return the partition of `key`: ints by remainder, others by a hash that never changes."""
    if partitions < 1:
        raise NoProc(f"partition of {key!r}")

    # The built-in hash of a string differs from process to process.
    number = abs(key) if isinstance(key, int) else zlib.crc32(repr(key).encode())
    return number % partitions


class PartitionSupervisor(Supervisor):
    """Run `partitions` (default: CPUs) children from one spec, with ids from 0 up.

    `with_arguments(args, partition)` gives each partition its own args.
    """

    def __init__(
        self,
        spec: ChildSpec,
        *,
        partitions: int | None = None,
        with_arguments: Callable[[tuple[object, ...], int], tuple[object, ...]] | None = None,
        strategy: Strategy = Strategy.ONE_FOR_ONE,
        intensity: int = 3,
        period: float = 5.0,
        name: str | None = None,
    ) -> None:
        count = (os.cpu_count() or 1) if partitions is None else partitions
        if count < 1:
            raise InvalidSpec("invalid_partitions", "partitions", partitions, "use 1 or more")

        super().__init__(
            [_numbered(spec, number, with_arguments) for number in range(count)],
            strategy=strategy,
            intensity=intensity,
            period=period,
            name=name,
        )
        self.limit = count
        self.partitions = count

    @classmethod
    def child(  # type: ignore[override] # pyright: ignore[reportIncompatibleMethodOverride] - makes what __init__ makes
        cls,
        spec: ChildSpec,
        *,
        partitions: int | None = None,
        with_arguments: Callable[[tuple[object, ...], int], tuple[object, ...]] | None = None,
        strategy: Strategy = Strategy.ONE_FOR_ONE,
        intensity: int = 3,
        period: float = 5.0,
        name: str | None = None,
    ) -> Nested:
        """Return the `start` of a ChildSpec for a partition supervisor."""
        return Nested(
            lambda: cls(
                spec,
                partitions=partitions,
                with_arguments=with_arguments,
                strategy=strategy,
                intensity=intensity,
                period=period,
                name=name,
            )
        )

    def ref_for(self, key: object) -> Ref[Any]:
        """Return a ref to the child that `key` belongs to; NoProc if there are no partitions."""
        return self.ref(partition_of(key, self.partitions))

    async def resize(self, partitions: int) -> int:
        """Use only the first `partitions` children, 0 to as many as at first; return the former.

        Keys are routed anew at once; surplus children are stopped from the top.
        """
        if not 0 <= partitions <= self.limit:
            raise ValueError(f"partitions is {partitions!r}; use 0 to {self.limit}")

        former, self.partitions = self.partitions, partitions
        for number in reversed(range(partitions, former)):
            await self.terminate_child(number)

        for number in range(former, partitions):
            await self.restart_child(number)

        return former


def _numbered(
    spec: ChildSpec,
    number: int,
    with_arguments: Callable[[tuple[object, ...], int], tuple[object, ...]] | None,
) -> ChildSpec:
    args: Any = spec.args if with_arguments is None else with_arguments(spec.args, number)
    if not isinstance(args, tuple):
        raise InvalidSpec(
            "invalid_arguments", "with_arguments", args, "return a tuple", child=number
        )

    return dataclasses.replace(spec, id=number, args=args)
