"""P1: what `client.complete` costs over the bare loop, in CPU per call, 64 in flight.

Every part of the way is on: the response cache, which each call misses; the single flight; a
budget; a request rate high enough never to wait; the breaker; the meter; telemetry that nobody
listens to.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from benchmarks.figures import Aim, Figure
from benchmarks.measuring import Cost, drive, interleave, measure, span_of
from benchmarks.reference import bare_caller, bare_calls
from benchmarks.settings import Setting
from dspex import effects
from dspex.clients.limits.budget import Budget, LocalBudget
from dspex.clients.protocol import ModelClient
from dspex.config import ProviderSettings
from dspex.messages import Message, Request
from dspex.runtime import Runtime
from dspex.usage import UsageMeter

__all__ = ("measure_aim",)

_IN_FLIGHT = 64
_CALLS = 5_000
_AIM = Aim("<=", 1.25, first_step=1.6)
_NO_WAIT_PER_MINUTE = 60_000_000.0

_SYSTEM = Message("system", "Answer the question. " * 40)


async def measure_aim(setting: Setting) -> list[Figure]:
    """Measure P1."""
    calls = setting.scaled(_CALLS)
    base_url, model = setting.server.base_url(0.0), setting.server.model
    provider = ProviderSettings(base_url=base_url, requests_per_minute=_NO_WAIT_PER_MINUTE)
    async with (
        bare_caller(base_url) as bare,
        Runtime(default=f"load/{model}", providers={"load": provider}) as runtime,
    ):
        client: ModelClient = runtime.client()

        async def reference(_: int) -> Cost:
            return await bare_calls(bare, model, calls=calls, in_flight=_IN_FLIGHT)

        async def subject(number: int) -> Cost:
            requests = _requests(number, calls)
            with _whole_stack():
                return await measure(
                    calls, lambda: drive(client.complete, requests, in_flight=_IN_FLIGHT)
                )

        pairs = await interleave(
            reference, subject, pairs=setting.pairs, value=lambda cost: cost.cpu_us_per_call
        )
        asked = runtime.statistics().endpoints["load"]

    assert asked.succeeded == calls * (setting.pairs + 1), "a call failed or met the cache"
    return [
        Figure(
            "P1",
            f"client.complete, CPU per call, {_IN_FLIGHT} in flight",
            pairs.ratio,
            "x",
            _AIM,
            reference=f"bare aiohttp {span_of(pairs.reference).median:.0f} us",
            subject=f"{span_of(pairs.subject).median:.0f} us",
            samples={"reference_us": pairs.reference, "subject_us": pairs.subject},
        )
    ]


@contextmanager
def _whole_stack() -> Iterator[None]:
    budget = LocalBudget(Budget(calls=10**9, tokens=10**15))
    with effects.scope(budget=budget, meter=UsageMeter()):
        yield


def _requests(number: int, calls: int) -> list[Request]:
    """Return requests that no cache has met."""
    return [
        Request((_SYSTEM, Message("user", f"[[ ## question ## ]]\n{number}.{index} {'x' * 200}")))
        for index in range(calls)
    ]
