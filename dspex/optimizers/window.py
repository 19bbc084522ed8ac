"""A scan that runs ahead of itself: concurrent, yet with the result of going one by one.

The sequential scan takes the examples in order, tries each up to `rounds` times, and stops at the
`target`-th success. `Scan` is the pure policy that says which attempt to launch next while results
come in any order; `scan` runs it. What counts is only the part of the results that the sequential
scan would have seen, so the outcome never depends on timing.

Two limits hold back attempts that the sequential scan might not make.

- Need: in flight are no more than the missing successes divided by the success rate so far. While
  everything succeeds, exactly `target` examples are launched, all at once.
- Bound: `lower_bound` counts the attempts that the sequential scan makes at least, given what is
  known: it succeeds at every example whose result is unknown. Launched attempts never exceed
  `factor` times that. It only grows, so whatever the results, the attempts made are at most
  `factor` times those of the sequential scan.
"""

from __future__ import annotations

import asyncio
import math
from dataclasses import dataclass
from enum import Enum, auto
from typing import TYPE_CHECKING, Final, Generic, TypeVar

from dspex import effects

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

__all__ = ("Attempt", "Decided", "Found", "Scan", "ScanResult", "Verdict", "scan")

T = TypeVar("T")

_FACTOR: Final = 1.5


class Verdict(Enum):
    """What an attempt on one example showed."""

    SUCCESS = auto()
    FAILURE = auto()
    SET_ASIDE = auto()
    """No result to be had: the example is left out and not tried again."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """The try number `round` of the example number `index`, both from 0."""

    index: int
    round: int


class _State:
    """What is known of one example that has been launched."""

    __slots__ = ("failures", "in_flight", "verdict")

    def __init__(self) -> None:
        self.failures = 0
        self.in_flight = False
        self.verdict: Verdict | None = None

    @property
    def attempts(self) -> int:
        """How many attempts it takes at least, this far."""
        return self.failures if self.verdict is Verdict.FAILURE else self.failures + 1


class Scan:
    """Which attempt may be launched next; no clock, no tasks.

    Args:
        count: how many examples there are.
        target: at how many successes the scan stops.
        rounds: how often an example is tried until it succeeds.
        max_in_flight: how many attempts may run at the same time at most.
        factor: how many attempts may be made for each of the sequential scan.
    """

    def __init__(
        self,
        count: int,
        *,
        target: int,
        rounds: int = 1,
        max_in_flight: int = 100,
        factor: float = _FACTOR,
    ) -> None:
        self._count = count
        self._target = target
        self._rounds = rounds
        self._max_in_flight = max_in_flight
        self._factor = factor
        self._states: list[_State] = []
        self._prefix = 0
        self._prefix_attempts = 0
        self._prefix_successes = 0
        self._resolved = 0
        self._successes = 0
        self.launched = 0
        self.in_flight = 0

    @property
    def done(self) -> bool:
        """True when the sequential scan would have ended."""
        return self._prefix_successes >= self._target or self._prefix >= self._count

    @property
    def sequential_attempts(self) -> int:
        """How many attempts the sequential scan has made by the end of the known prefix."""
        return self._prefix_attempts

    @property
    def prefix(self) -> int:
        """How many leading examples are decided: no result can change what they contribute."""
        return self._prefix

    def lower_bound(self) -> int:
        """Return how many attempts the sequential scan makes at least.

        Walks from the decided prefix on and takes every open example for a success at its next try.
        """
        attempts, missing = self._prefix_attempts, self._target - self._prefix_successes
        for state in self._states[self._prefix :]:
            if missing <= 0:
                return attempts

            attempts += state.attempts
            missing -= state.verdict in (None, Verdict.SUCCESS)

        return attempts + min(max(missing, 0), self._count - len(self._states))

    def next(self) -> Attempt | None:
        """Return the attempt to launch now, which counts as launched, or None to wait for results.

        Never None while nothing is in flight and the scan is not done.
        """
        if self.done or self.in_flight >= self._allowed_in_flight():
            return None

        if self.launched + 1 > math.floor(self._factor * self.lower_bound()):
            return None

        index = self._candidate()
        if index is None:
            return None

        if index == len(self._states):
            self._states.append(_State())

        self._states[index].in_flight = True
        self.launched += 1
        self.in_flight += 1
        return Attempt(index, self._states[index].failures)

    def _allowed_in_flight(self) -> int:
        missing = self._target - self._successes
        # One more success than seen: before the first result the rate is 1, and it is never 0.
        rate = (self._successes + 1) / (self._resolved + 1)
        return max(1, min(self._max_in_flight, math.ceil(missing / rate)))

    def _candidate(self) -> int | None:
        for index in range(self._prefix, len(self._states)):
            state = self._states[index]
            if state.verdict is None and not state.in_flight:
                return index

        return len(self._states) if len(self._states) < self._count else None

    def resolve(self, attempt: Attempt, verdict: Verdict) -> None:
        """Take the result of an attempt."""
        state = self._states[attempt.index]
        self.in_flight -= 1
        self._resolved += 1
        state.in_flight = False
        if verdict is Verdict.FAILURE:
            state.failures += 1
            if state.failures < self._rounds:
                return

        state.verdict = verdict
        self._successes += verdict is Verdict.SUCCESS
        self._advance()

    def _advance(self) -> None:
        while not self.done and self._prefix < len(self._states):
            state = self._states[self._prefix]
            if state.verdict is None:
                return

            self._prefix += 1
            self._prefix_attempts += state.attempts
            self._prefix_successes += state.verdict is Verdict.SUCCESS


@dataclass(frozen=True, slots=True)
class Found(Generic[T]):
    """What an attempt on one example brought."""

    verdict: Verdict
    value: T


@dataclass(frozen=True, slots=True)
class Decided(Generic[T]):
    """One example that the sequential scan has dealt with, and its attempts, first to last."""

    index: int
    attempts: tuple[Found[T], ...]

    @property
    def verdict(self) -> Verdict:
        """What the scan takes away from the example."""
        return self.attempts[-1].verdict


@dataclass(frozen=True, slots=True)
class ScanResult(Generic[T]):
    """What the sequential scan finds, in order, and what finding it took.

    `attempts` are those of the sequential scan, `extra_attempts` those made beyond them.
    """

    decided: tuple[Decided[T], ...]
    attempts: int
    extra_attempts: int


async def scan(
    policy: Scan,
    function: Callable[[Attempt], Awaitable[Found[T]]],
    *,
    name: str = "scan",
    on_decided: Callable[[Decided[T]], None] | None = None,
) -> ScanResult[T]:
    """Run attempts as `policy` lets them, until the sequential scan would end; cancel the rest.

    Each attempt runs in a scope named by its index, and by its round from the second on, so that a
    replay finds its calls. `on_decided` sees each example in the order of the sequential scan, and
    may end the scan by raising. The first error of either callable ends the scan and is raised.
    """
    runner = _Runner(policy, function, effects.current().child(name), on_decided)
    async with asyncio.TaskGroup() as group:
        await runner.run(group)

    if runner.error is not None:
        raise runner.error

    return runner.result()


class _Runner(Generic[T]):
    """The tasks of one scan."""

    def __init__(
        self,
        policy: Scan,
        function: Callable[[Attempt], Awaitable[Found[T]]],
        branch: effects.CallScope,
        on_decided: Callable[[Decided[T]], None] | None,
    ) -> None:
        self._policy = policy
        self._function = function
        self._branch = branch
        self._on_decided = on_decided
        self._running: set[asyncio.Task[None]] = set()
        self._finished: asyncio.Queue[tuple[Attempt, Found[T] | Exception]] = asyncio.Queue()
        self._found: dict[int, list[Found[T]]] = {}
        self._decided: list[Decided[T]] = []
        self.error: Exception | None = None

    async def run(self, group: asyncio.TaskGroup) -> None:
        try:
            while not self._policy.done:
                self._launch(group)
                self._take(*await self._finished.get())
        except Exception as exc:  # raised by `scan`: the group would wrap it
            self.error = exc

        for task in self._running:
            task.cancel()

    def result(self) -> ScanResult[T]:
        attempts = self._policy.sequential_attempts
        return ScanResult(tuple(self._decided), attempts, self._policy.launched - attempts)

    def _launch(self, group: asyncio.TaskGroup) -> None:
        while (attempt := self._policy.next()) is not None:
            task = group.create_task(self._attempt(attempt))
            self._running.add(task)
            task.add_done_callback(self._running.discard)

    async def _attempt(self, attempt: Attempt) -> None:
        index, number = str(attempt.index), attempt.round
        place = f"{index}#{number}" if number else index
        with effects.scope(path=(*self._branch.path, place), ordinals=effects.Ordinals()):
            try:
                result: Found[T] | Exception = await self._function(attempt)
            except Exception as exc:  # raised where results are taken
                result = exc

        self._finished.put_nowait((attempt, result))

    def _take(self, attempt: Attempt, result: Found[T] | Exception) -> None:
        if isinstance(result, Exception):
            raise result

        self._found.setdefault(attempt.index, []).append(result)
        self._policy.resolve(attempt, result.verdict)
        for index in range(len(self._decided), self._policy.prefix):
            decided = Decided(index, tuple(self._found.pop(index)))
            self._decided.append(decided)
            if self._on_decided is not None:
                self._on_decided(decided)
