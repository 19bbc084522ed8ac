"""The supervisor against a model of OTP's rules, in random histories; and calls, likewise.

The model is as plain as can be: a list of children, a list of attempts, and the rules of the
restart table and the strategies written down one by one. Each history is run on both, and the
exact order of all starts and stops must agree.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from dataclasses import dataclass, field
from typing import Any, TypeVar

from hypothesis import given, settings, strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
)

from supervision import (
    Actor,
    AlreadyPresent,
    AlreadyStarted,
    CallTimeout,
    ChildSpec,
    MaxRestartsExceeded,
    NoProc,
    Restart,
    Running,
    ServerDied,
    Shutdown,
    StartFailed,
    Strategy,
    Supervisor,
    handle,
)
from supervision.testing import FakeClock, VirtualClockLoop, crash

T = TypeVar("T")
PERIOD = 5.0
IDS = ["a", "b", "c", "d", "e"]
ids = st.sampled_from(IDS)


@dataclass(eq=False)
class ModelChild:
    """One child as the model sees it."""

    id: str
    restart: Restart
    running: bool = False
    starts: int = 0


@dataclass
class Model:
    """OTP's rules."""

    strategy: Strategy
    intensity: int
    now: float = 0.0
    alive: bool = True
    children: list[ModelChild] = field(default_factory=list)
    failures: dict[str, int] = field(default_factory=dict)
    attempts: list[float] = field(default_factory=list)
    log: list[str] = field(default_factory=list)

    def find(self, id: str) -> ModelChild | None:
        return next((child for child in self.children if child.id == id), None)

    def start(self, child: ModelChild) -> bool:
        child.starts += 1
        if self.failures.get(child.id, 0):
            self.failures[child.id] -= 1
            return False

        child.running = True
        self.log.append(f"+{child.id}")
        return True

    def stop(self, child: ModelChild) -> None:
        if child.running:
            child.running = False
            self.log.append(f"-{child.id}")

    def exit(self, child: ModelChild, *, normal: bool) -> None:
        self.stop(child)
        if child.restart is Restart.TEMPORARY:
            self.children.remove(child)
        elif child.restart is Restart.PERMANENT or not normal:
            self.restart(child)

    def restart(self, child: ModelChild) -> None:
        failed: ModelChild | None = child
        while failed is not None and self.alive:
            self.attempts = [t for t in self.attempts if self.now - t <= PERIOD] + [self.now]
            if len(self.attempts) > self.intensity:
                self.children.remove(failed)
                self.die()
                return

            failed = self.attempt(failed)

    def attempt(self, child: ModelChild) -> ModelChild | None:
        """Restart all that belong together; return the one that failed to start."""
        match self.strategy:
            case Strategy.ONE_FOR_ONE:
                group = [child]
            case Strategy.ONE_FOR_ALL:
                group = list(self.children)
            case Strategy.REST_FOR_ONE:
                group = self.children[self.children.index(child) :]

        for other in reversed(group):
            self.stop(other)
            if other.restart is Restart.TEMPORARY:
                self.children.remove(other)

        for other in group:
            if other in self.children and not self.start(other):
                return other

        return None

    def die(self) -> None:
        self.alive = False
        for child in reversed(self.children):
            self.stop(child)


class SupervisorMachine(RuleBasedStateMachine):
    """Does the same to a supervisor and to the model."""

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner(loop_factory=VirtualClockLoop)
        self.clock = FakeClock()
        self.log: list[str] = []
        self.orders: dict[str, asyncio.Future[None]] = {}
        self.failures: dict[str, int] = {}

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Do the work and let all that follows from it happen."""

        async def settled() -> T:
            try:
                return await work
            finally:
                await asyncio.sleep(0.001)

        return self.runner.run(settled())

    async def body(self, id: str, *, ready: Any) -> None:
        """Be a child that does what it is told."""
        if self.failures.get(id, 0):
            self.failures[id] -= 1
            raise OSError(id)

        self.log.append(f"+{id}")
        ready(id)
        order = self.orders[id] = asyncio.get_running_loop().create_future()
        try:
            await order
        finally:
            self.log.append(f"-{id}")

    def spec(self, id: str, restart: Restart) -> ChildSpec:
        return ChildSpec(id, self.body, args=(id,), restart=restart)

    @initialize(
        strategy=st.sampled_from(Strategy),
        intensity=st.integers(0, 3),
        restarts=st.lists(st.sampled_from(Restart), max_size=4),
    )
    def begin(self, strategy: Strategy, intensity: int, restarts: list[Restart]) -> None:
        self.model = Model(strategy, intensity)
        for id, restart in zip(IDS, restarts, strict=False):
            child = ModelChild(id, restart)
            self.model.children.append(child)
            self.model.start(child)

        self.root = Supervisor(
            [self.spec(id, restart) for id, restart in zip(IDS, restarts, strict=False)],
            strategy=strategy,
            intensity=intensity,
            period=PERIOD,
            clock=self.clock,
        )
        self.run(self.root.__aenter__())

    @rule(seconds=st.sampled_from([1.0, 2.5, 5.0, 6.0]))
    def time_passes(self, seconds: float) -> None:
        self.clock.advance(seconds)
        self.model.now = self.clock.now

    @rule(id=ids, times=st.integers(1, 3))
    def starts_will_fail(self, id: str, times: int) -> None:
        self.failures[id] = self.model.failures[id] = times

    def living(self) -> bool:
        return self.model.alive

    @precondition(living)
    @rule(id=ids, normal=st.booleans())
    def child_ends(self, id: str, normal: bool) -> None:
        child = self.model.find(id)
        if child is None or not child.running:
            return

        self.model.exit(child, normal=normal)

        async def end() -> None:
            if normal:
                self.orders[id].set_result(None)
            else:
                crash(self.root.ref(id), ValueError(id))

        self.run(end())

    @precondition(living)
    @rule(id=ids)
    def terminate(self, id: str) -> None:
        child = self.model.find(id)
        if child is None:
            return

        self.model.stop(child)
        if child.restart is Restart.TEMPORARY:
            self.model.children.remove(child)

        self.run(self.root.terminate_child(id))

    @precondition(living)
    @rule(id=ids)
    def restart(self, id: str) -> None:
        child = self.model.find(id)
        if child is None:
            return

        running = child.running
        works = running or self.model.start(child)

        async def restart() -> str:
            try:
                await self.root.restart_child(id)
            except Running:
                return "running"
            except StartFailed:
                return "failed"

            return "up"

        assert self.run(restart()) == ("running" if running else "up" if works else "failed")

    @precondition(living)
    @rule(id=ids)
    def delete(self, id: str) -> None:
        child = self.model.find(id)
        if child is None:
            return

        async def delete() -> bool:
            try:
                await self.root.delete_child(id)
            except Running:
                return False

            return True

        assert self.run(delete()) is not child.running
        if not child.running:
            self.model.children.remove(child)

    @precondition(living)
    @rule(id=ids, restart=st.sampled_from(Restart))
    def start(self, id: str, restart: Restart) -> None:
        known = self.model.find(id)
        expected = "present" if known is None or not known.running else "started"
        if known is None:
            child = ModelChild(id, restart)
            if self.model.start(child):
                self.model.children.append(child)
                expected = "up"
            else:
                expected = "failed"

        async def start() -> str:
            try:
                await self.root.start_child(self.spec(id, restart))
            except AlreadyPresent:
                return "present"
            except AlreadyStarted:
                return "started"
            except StartFailed:
                return "failed"

            return "up"

        assert self.run(start()) == expected

    @invariant()
    def same_order_of_starts_and_stops(self) -> None:
        """V2, V4: every start and stop there was, in the same order."""
        if hasattr(self, "model"):
            assert self.log == self.model.log

    @invariant()
    def same_table(self) -> None:
        """V1, V3, V7, pitfall 28: the same children in the same states, by an injected clock."""
        if not hasattr(self, "model"):
            return

        assert self.root.alive is self.model.alive
        rows = self.root.which_children()
        assert [row.id for row in rows] == [child.id for child in self.model.children]
        assert [row.pid is not None for row in rows] == [c.running for c in self.model.children]
        assert [row.generation for row in rows] == [c.starts for c in self.model.children]
        counts = self.root.count_children()
        assert (counts.specs, counts.active) == (len(rows), sum(r.pid is not None for r in rows))

    def teardown(self) -> None:
        """V3, V5: a burnt-out root says so; nothing of ours is left."""
        try:
            if hasattr(self, "root"):
                self.leave()
        finally:
            self.runner.close()

    def leave(self) -> None:
        burnt_out = not self.model.alive
        try:
            self.run(self.root.__aexit__(None, None, None))
        except MaxRestartsExceeded:
            assert burnt_out
        else:
            assert not burnt_out
            assert self.root.exit_reason == Shutdown()

        self.model.die()
        assert self.log == self.model.log
        loop = self.runner.get_loop()
        assert asyncio.all_tasks(loop) == set()


TestSupervisorMachine = SupervisorMachine.TestCase
TestSupervisorMachine.settings = settings(max_examples=120, stateful_step_count=25, deadline=None)


class Worker(Actor):
    """Takes its time, and dies of what is asked too much."""

    @handle.call
    async def work(self, seconds: float) -> float:
        await asyncio.sleep(seconds)
        return seconds

    @handle.call
    async def die(self, seconds: float) -> float:
        await asyncio.sleep(seconds)
        raise ValueError

    @handle.call
    def quick(self, seconds: float) -> float:
        return seconds


times = st.sampled_from([0.0, 0.5, 1.0, 2.0])


@settings(max_examples=60)
@given(
    st.lists(
        st.tuples(
            st.sampled_from([Worker.work, Worker.work, Worker.quick, Worker.die]),
            times,
            st.sampled_from([0.7, 1.5, 100.0]),
            st.one_of(st.none(), times),
            times,
        ),
        max_size=15,
    )
)
def test_each_call_resolves_exactly_once(
    history: list[tuple[Any, float, float, float | None, float]],
) -> None:
    """V6: reply, timeout, death, nobody there, or the caller's own cancel; and in time."""

    async def main() -> None:
        loop = asyncio.get_running_loop()
        async with Supervisor([ChildSpec("it", Worker)], intensity=100) as root:
            ref = root.ref("it", Worker)

            async def call(method: Any, seconds: float, timeout: float) -> tuple[Any, float]:
                began = loop.time()
                try:
                    outcome: Any = await ref.call(method, seconds, timeout=timeout)
                except (CallTimeout, ServerDied, NoProc) as exc:
                    outcome = exc

                return outcome, loop.time() - began

            calls: list[tuple[asyncio.Task[Any], float, float, bool]] = []
            for method, seconds, timeout, cancel, pause in history:
                task = asyncio.ensure_future(call(method, seconds, timeout))
                if cancel is not None:
                    loop.call_later(cancel, task.cancel)

                calls.append((task, seconds, timeout, cancel is not None))
                await asyncio.sleep(pause)

            await asyncio.sleep(200)
            for task, seconds, timeout, cancelled in calls:
                assert task.done()
                if task.cancelled():
                    assert cancelled
                    continue

                outcome, took = task.result()
                assert took <= timeout + 1e-6
                assert outcome == seconds or isinstance(outcome, Exception)

            assert await ref.call(Worker.quick, 1.0) == 1.0
            assert ref.statistics().queued == 0
            assert len(root.deadlines) == 0

    with asyncio.Runner(loop_factory=VirtualClockLoop) as runner:
        runner.run(main())
