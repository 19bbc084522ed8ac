"""What a supervisor does follows from its event log, and its event log from what happened."""

from __future__ import annotations

import asyncio
import copy
from collections.abc import Sequence
from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings, strategies as st

from supervision import AutoShutdown, ChildSpec, Restart, Strategy, Supervisor, driver
from supervision.strategy import Action, ChildView, Event, Exited, plan
from supervision.testing import VirtualClockLoop, crash, settle

IDS = ("a", "b", "c", "d")


@dataclass(frozen=True)
class Entry:
    """One look of the supervisor into its planner."""

    strategy: Strategy
    auto_shutdown: AutoShutdown
    views: tuple[ChildView, ...]
    event: Event
    actions: tuple[Action, ...]

    def told(self) -> tuple[object, ...]:
        """Return what two runs must have in common: exceptions are equal to themselves only."""
        event = self.event
        reason = str(event.reason) if isinstance(event, Exited) else event.counted
        return type(event), event.id, reason, self.views, self.actions


@dataclass
class History:
    """What happens to the children: who dies how, and who does not come up again at first."""

    strategy: Strategy
    restarts: dict[str, Restart]
    deaths: list[tuple[str, bool]]
    failing: set[int]
    starts: int = 0
    ends: dict[str, asyncio.Event] = field(default_factory=dict)

    async def child(self, id: str) -> None:
        """Live until told to return."""
        self.starts += 1
        if self.starts in self.failing:
            raise OSError(id)

        self.ends[id] = asyncio.Event()
        await self.ends[id].wait()

    async def run(self) -> None:
        """Let it happen."""
        specs = [
            ChildSpec(id, self.child, args=(id,), restart=restart)
            for id, restart in self.restarts.items()
        ]
        async with Supervisor(specs, strategy=self.strategy, intensity=10**6) as root:
            await settle()
            for id, crashes in self.deaths:
                if not any(row.id == id and row.pid for row in root.which_children()):
                    continue

                if crashes:
                    crash(root.ref(id), ValueError(id))
                else:
                    self.ends[id].set()

                await settle(50)


def log_of(history: History) -> list[Entry]:
    """Run a history and return what the supervisor asked its planner, and what it was told."""
    log: list[Entry] = []

    def note(
        strategy: Strategy, auto: AutoShutdown, views: Sequence[ChildView], event: Event
    ) -> tuple[Action, ...]:
        actions = plan(strategy, auto, views, event)
        log.append(Entry(strategy, auto, tuple(views), event, actions))
        return actions

    with (
        pytest.MonkeyPatch.context() as patch,
        asyncio.Runner(loop_factory=VirtualClockLoop) as runner,
    ):
        patch.setattr(driver, "plan", note)
        runner.run(history.run())

    return log


@settings(max_examples=40)
@given(
    strategy=st.sampled_from(Strategy),
    restarts=st.lists(st.sampled_from(Restart), min_size=2, max_size=4),
    deaths=st.lists(st.tuples(st.sampled_from(IDS), st.booleans()), min_size=1, max_size=8),
    failing=st.sets(st.integers(5, 20), max_size=3),
)
def test_log_replays_to_the_same_actions(
    strategy: Strategy,
    restarts: list[Restart],
    deaths: list[tuple[str, bool]],
    failing: set[int],
) -> None:
    """V8: the log through the planner gives the actions taken; the same history the same log."""
    named = dict(zip(IDS, restarts, strict=False))
    log = log_of(History(strategy, named, deaths, failing))
    for entry in log:
        # Copies: nothing may depend on which objects these are, only on what they say.
        views = copy.deepcopy(entry.views)
        event = copy.copy(entry.event)
        assert plan(entry.strategy, entry.auto_shutdown, views, event) == entry.actions

    again = log_of(History(strategy, named, deaths, failing))
    assert [entry.told() for entry in again] == [entry.told() for entry in log]
