"""Any coroutine function under the protection of a model call."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from dspex.clients.policy import Policy
from dspex.config import BreakerSettings
from dspex.errors import (
    AuthError,
    CircuitOpen,
    DeadlineExceeded,
    EndpointUnavailable,
    ErrorData,
    ErrorKind,
    PoolExhausted,
    ProviderTimeout,
)
from dspex.runtime import Runtime
from supervision.testing import crash, wait_restarted

pytestmark = pytest.mark.virtual_time


class Service:
    """Does what it is told, one after the other, and the last for ever."""

    def __init__(self, *outcomes: Any, takes_s: float = 0.0) -> None:
        self._outcomes = list(outcomes) or ["done"]
        self._takes_s = takes_s
        self.calls = self.at_once = self.peak = 0

    async def __call__(self, *args: object, **kwargs: object) -> Any:
        self.calls += 1
        self.at_once += 1
        self.peak = max(self.peak, self.at_once)
        try:
            await asyncio.sleep(self._takes_s)
        finally:
            self.at_once -= 1

        outcome = self._outcomes.pop(0) if len(self._outcomes) > 1 else self._outcomes[0]
        if isinstance(outcome, Exception):
            raise outcome

        return outcome


async def together(run: Callable[[], Any], count: int) -> list[Any]:
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(run()) for _ in range(count)]

    return [task.result() for task in tasks]


class TestRun:
    async def test_gives_what_the_function_gives(self) -> None:
        """Its arguments go through."""

        async def add(left: int, *, right: int) -> int:
            return left + right

        async with Policy("sum") as policy:
            assert 3 == await policy.run(add, 1, right=2)

    async def test_what_passes_is_tried_again(self) -> None:
        """The network's exceptions are taken for passing."""
        service = Service(ConnectionResetError("gone"), TimeoutError(), "done")
        async with Policy("search", retries=2) as policy:
            assert "done" == await policy.run(service)

        assert 3 == service.calls

    async def test_what_does_not_pass_is_raised_at_once(self) -> None:
        """A mistake of the caller's is no failure of the service."""
        service = Service(KeyError("nope"))
        async with Policy("search", breaker=BreakerSettings(consecutive_failures=1)) as policy:
            for _ in range(3):
                with pytest.raises(KeyError, match="nope"):
                    await policy.run(service)

        assert 3 == service.calls

    async def test_the_user_says_what_passes(self) -> None:
        """By a predicate."""
        service = Service(ValueError("busy"), "done")
        policy = Policy("search", transient=lambda exc: "busy" in str(exc))
        async with policy:
            assert "done" == await policy.run(service)

    async def test_the_last_exception_comes_through_with_a_note(self) -> None:
        """Its type is the function's own."""
        async with Policy("search", retries=2) as policy:
            with pytest.raises(ConnectionResetError) as caught:
                await policy.run(Service(ConnectionResetError("gone")))

        assert ["policy 'search' tried 3 times"] == caught.value.__notes__

    async def test_a_providers_error_is_classified_by_itself(self) -> None:
        """A wrong key is not retried, and opens the breaker."""
        service = Service(AuthError(ErrorData(ErrorKind.AUTH, "no")))
        async with Policy("search") as policy:
            with pytest.raises(AuthError):
                await policy.run(service)

            with pytest.raises(CircuitOpen):
                await policy.run(service)

        assert 1 == service.calls


class TestBounds:
    async def test_concurrency(self) -> None:
        """So many at a time, the others in line."""
        service = Service(takes_s=1.0)
        async with Policy("search", max_concurrency=3) as policy:
            await together(lambda: policy.run(service), 10)

        assert (3, 10) == (service.peak, service.calls)
        assert asyncio.get_running_loop().time() == pytest.approx(4.0)

    async def test_rate(self) -> None:
        """One a second after the first."""
        service = Service()
        async with Policy("search", requests_per_minute=60) as policy:
            await together(lambda: policy.run(service), 5)

        assert asyncio.get_running_loop().time() == pytest.approx(4.0, abs=0.05)

    async def test_time_of_a_try(self) -> None:
        """A try that hangs is ended and repeated once."""
        service = Service(takes_s=100.0)
        async with Policy("search", timeout_s=2.0, retries=3) as policy:
            with pytest.raises(ProviderTimeout, match="search: took longer than 2 s"):
                await policy.run(service)

        assert (2, 0) == (service.calls, service.at_once)

    async def test_time_of_everything(self) -> None:
        """Waiting counts."""
        service = Service(takes_s=100.0)
        async with Policy("search", max_concurrency=1, total_timeout_s=5.0) as policy:
            with pytest.raises(DeadlineExceeded, match="search: took longer than 5 s"):
                await policy.run(service)

            quota, gate, breaker = (await policy.state()).statistics()

        assert breaker is not None
        assert (0, 0, 0) == (quota.waiting, gate.in_use, breaker.calls)

    async def test_a_timeout_of_the_functions_own_stays_one(self) -> None:
        """Nobody takes it for the policy's."""
        async with Policy("search", timeout_s=10.0, retries=0) as policy:
            with pytest.raises(TimeoutError, match="mine"):
                await policy.run(Service(TimeoutError("mine")))

    async def test_the_line_is_bounded(self) -> None:
        """More than may wait are turned away."""
        service = Service(takes_s=50.0)
        async with Policy("search", max_concurrency=1, max_waiting=1, retries=0) as policy:
            first = [asyncio.create_task(policy.run(service)) for _ in range(2)]
            await asyncio.sleep(1.0)
            with pytest.raises(PoolExhausted):
                await policy.run(service)

            await asyncio.wait(first)


class TestBreaker:
    async def test_an_outage_is_not_hammered(self) -> None:
        """After some failures nothing is called, until one call finds it well."""
        service = Service(*[OSError("down")] * 5, "done")
        numbers = BreakerSettings(consecutive_failures=5, recovery_s=30.0)
        async with Policy("search", breaker=numbers, retries=0) as policy:
            for _ in range(5):
                with pytest.raises(OSError, match="down"):
                    await policy.run(service)

            with pytest.raises(CircuitOpen, match="OSError: down"):
                await policy.run(service)

            await asyncio.sleep(31.0)
            assert "done" == await policy.run(service)

    async def test_can_be_left_out(self) -> None:
        """Then nothing ever opens."""
        service = Service(OSError("down"))
        async with Policy("search", breaker=None, retries=0) as policy:
            for _ in range(100):
                with pytest.raises(OSError, match="down"):
                    await policy.run(service)

        assert 100 == service.calls

    async def test_retries_are_bounded_over_all_calls(self) -> None:
        """An outage does not triple the traffic."""
        service = Service(OSError("down"))
        async with Policy("search", breaker=None, retries=2) as policy:
            for _ in range(200):
                with pytest.raises(OSError, match="down"):
                    await policy.run(service)

        assert service.calls <= 200 * 1.2 + 21


class TestOwner:
    async def test_cancelled_calls_give_everything_back(self) -> None:
        """Wherever they were."""
        service = Service(takes_s=100.0)
        async with Policy("search", max_concurrency=5, requests_per_minute=600) as policy:
            tasks = [asyncio.create_task(policy.run(service)) for _ in range(200)]
            await asyncio.sleep(2.0)
            for task in tasks:
                task.cancel()

            await asyncio.wait(tasks)
            quota, gate, _ = (await policy.state()).statistics()

        assert (0, 0, 0) == (quota.waiting, gate.in_use, gate.waiting)

    async def test_without_one_the_error_says_how(self) -> None:
        """A policy that nobody started is not used by mistake."""
        with pytest.raises(EndpointUnavailable, match=r"async with.*runtime\.policy\('search'"):
            await Policy("search").run(Service())

    async def test_under_a_runtime(self) -> None:
        """One state for all who ask for it by name; it comes back after a crash."""
        async with Runtime(log="off") as runtime:
            policy = runtime.policy("search", max_concurrency=2)
            assert policy is runtime.policy("search")
            assert "done" == await policy.run(Service())
            state = await policy.state()

            ref = runtime.root.ref("services").ref("clients").ref("policy-search")
            await wait_restarted(ref, crash(ref))
            assert "done" == await policy.run(Service())
            assert state is not await policy.state()

    async def test_a_policy_is_made_once(self) -> None:
        """Other numbers under the same name are a mistake."""
        async with Runtime(log="off") as runtime:
            runtime.policy("search", max_concurrency=2)
            with pytest.raises(ValueError, match="'search' exists"):
                runtime.policy("search", max_concurrency=3)
