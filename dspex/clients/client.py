"""The way of one call: gate, cache, single flight, budget, limiter, breaker, transport, retry.

A `Client` is a value: an endpoint and a model. It runs in the caller's task and borrows what the
endpoint's supervised children own. Nothing passes through a mailbox, which would serialise ten
thousand calls.
"""

from __future__ import annotations

import asyncio
import math
from contextlib import aclosing
from functools import partial
from typing import TYPE_CHECKING

from dspex.clients.attempt import attempt, fold
from dspex.clients.call import NOT_SENT, Admission, Call
from dspex.clients.prices import priced
from dspex.effects import LIVE, CallScope, Effect, current
from dspex.errors import (
    DeadlineExceeded,
    ErrorData,
    ErrorKind,
    ProviderError,
    ProviderTimeout,
)
from dspex.messages import Compat, Request, Response, StreamEnd, StreamEvent, fill
from dspex.telemetry.events import (
    CACHE_HIT,
    CACHE_MISS,
    LM_EXCEPTION,
    LM_RETRY,
    LM_START,
    LM_STOP,
)
from dspex.usage import Usage

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Callable

    from dspex.cache.memory import ResponseCache
    from dspex.clients.endpoint import Endpoint
    from dspex.clients.protocol import CacheMode
    from supervision.deadline import Timeout

__all__ = ("Client",)


class Client:
    """Answers requests from one model of one endpoint; immutable, and equal by what it names.

    Safe to call from any number of tasks of the runtime's event loop.

    Args:
        endpoint: the handle of the endpoint.
        model: the provider's own name for the model.
        cache: returns the response cache, or None while there is none.
    """

    __slots__ = ("_cache", "_endpoint", "model")

    def __init__(
        self, endpoint: Endpoint, model: str, cache: Callable[[], ResponseCache | None]
    ) -> None:
        self._endpoint = endpoint
        self._cache = cache
        self.model = model

    def __repr__(self) -> str:
        return f"<Client {self.name}>"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Client):
            return NotImplemented

        return (self._endpoint, self.model) == (other._endpoint, other.model)

    def __hash__(self) -> int:
        return hash((self._endpoint, self.model))

    @property
    def name(self) -> str:
        """Return "provider/model"."""
        return f"{self._endpoint.name}/{self.model}"

    @property
    def compat(self) -> Compat:
        """Return what the endpoint takes."""
        return self._endpoint.compat

    @property
    def endpoint(self) -> Endpoint:
        """The endpoint behind it, for its statistics."""
        return self._endpoint

    async def complete(
        self, request: Request, *, timeout_s: float | None = None, cache: CacheMode = "on"
    ) -> Response:
        """Return the answer; see `ModelClient.complete`."""
        if not request.model:
            request = _addressed(request, self.model)

        scope = current()
        if scope.gate is LIVE:
            return await self._metered(request, scope, timeout_s, cache)

        return await scope.gate.call(
            Effect(
                "model",
                run=partial(self._metered, request, scope, timeout_s, cache),
                digest=request.digest,
                encode=Response.to_dict,
                decode=Response.from_dict,
            )
        )

    async def stream(
        self, request: Request, *, timeout_s: float | None = None
    ) -> AsyncIterator[StreamEvent]:
        """Yield the answer as it comes; the cache takes no part.

        Until something was delivered a failed try is repeated like any other. A slow consumer slows
        the socket. The deadlines are those of the settings: first byte, then between chunks; the
        consumer's own time does not count, and `timeout_s` bounds the whole.
        """
        if not request.model:
            request = _addressed(request, self.model)

        call = self._begin(request, current(), timeout_s)
        meter = call.scope.meter
        while True:
            try:
                async for event in self._try_streaming(call):
                    if meter is not None and isinstance(event, StreamEnd):
                        meter.add(event.response.usage)

                    yield event

                return
            except ProviderError as exc:
                await self._recover(call, exc)

    async def _metered(
        self, request: Request, scope: CallScope, timeout_s: float | None, cache: CacheMode
    ) -> Response:
        endpoint = self._endpoint
        meter = scope.meter
        call = self._begin(request, scope, timeout_s)
        endpoint.calls += 1
        endpoint.in_flight += 1
        if meter is not None:
            meter.enter_call()

        block = endpoint.deadlines.timeout(call.limit_s)
        try:
            with block:
                response = await self._through_cache(call, cache)
        except (ProviderError, TimeoutError) as caught:
            exc = self._in_terms_of(call, caught, block)
            endpoint.failed += 1
            self._report_failure(call, exc)
            if meter is not None:
                meter.add(_spent(exc))

            if exc is caught:
                raise

            raise exc from caught
        finally:
            endpoint.in_flight -= 1
            if meter is not None:
                meter.leave_call()

        endpoint.succeeded += 1
        self._report_answer(call, response)
        if meter is not None:
            meter.add(response.usage)

        return response

    def _begin(self, request: Request, scope: CallScope, timeout_s: float | None) -> Call:
        now = self._endpoint.clock()
        limit_s = self._endpoint.settings.call_timeout_s if timeout_s is None else timeout_s
        if scope.deadline is not None and scope.deadline - now < limit_s:
            # Rounded up to a few distinct values, since each has a timer of its own.
            limit_s = math.ceil(max(scope.deadline - now, 0.0) * 10.0) / 10.0

        listeners = self._endpoint.bus.listeners
        if LM_START in listeners:
            self._endpoint.bus.execute(LM_START, {}, self._about(scope))

        return Call(request, scope, now, limit_s)

    def _in_terms_of(self, call: Call, exc: Exception, block: Timeout) -> ProviderError:
        """Return a call's error as it is, or what the end of its deadline means."""
        if isinstance(exc, ProviderError):
            return exc

        if block.expired:
            return self._deadline_error(call)

        raise exc

    async def _through_cache(self, call: Call, cache: CacheMode) -> Response:
        store = None if cache == "off" else self._cache()
        if store is None:
            return await self._ask(call)

        key = f"{self._endpoint.name}:{call.request.digest()}"
        if cache != "refresh":
            found = store.get(key)
            self._report_lookup(call, found)
            if found is not None:
                return found

        response = await store.share(key, partial(self._ask, call))
        if cache != "read" and not response.cached:
            store.put(key, response)

        return response

    async def _ask(self, call: Call) -> Response:
        while True:
            try:
                response = await self._try_once(call)
            except ProviderError as exc:
                await self._recover(call, exc)
            else:
                return self._finish(call, response)

    async def _admit(self, call: Call) -> Admission:
        endpoint = self._endpoint
        call.stage = "endpoint"
        state = endpoint.live_state or await endpoint.state()
        if not call.attempts:
            state.retries.record_call()

        admission = Admission(endpoint, state, call)
        if not admission.take():
            await admission.wait()

        call.stage = "endpoint"
        return admission

    async def _try_once(self, call: Call) -> Response:
        endpoint = self._endpoint
        admission = await self._admit(call)
        with admission:
            transport = endpoint.live_transport or await endpoint.transport()
            call.stage = "attempt"
            block = endpoint.deadlines.timeout(endpoint.settings.attempt_timeout_s)
            try:
                with block:
                    events = attempt(
                        transport,
                        endpoint.wire,
                        endpoint.compat,
                        call.request,
                        provider=endpoint.name,
                        stream=False,
                    )
                    response = await fold(events)
            except TimeoutError as exc:
                if not block.expired:
                    raise

                raise self._too_slow(call, "attempt", endpoint.settings.attempt_timeout_s) from exc

            admission.usage = response.usage
            return response

    async def _try_streaming(self, call: Call) -> AsyncGenerator[StreamEvent, None]:
        endpoint = self._endpoint
        admission = await self._admit(call)
        with admission:
            transport = endpoint.live_transport or await endpoint.transport()
            events = attempt(
                transport,
                endpoint.wire,
                endpoint.compat,
                call.request,
                provider=endpoint.name,
                stream=True,
            )
            async with aclosing(events):
                stage, limit_s = "first byte", endpoint.settings.first_byte_timeout_s
                while (event := await self._next(call, events, stage, limit_s)) is not None:
                    if isinstance(event, StreamEnd):
                        response = self._finish(call, event.response)
                        admission.usage = response.usage
                        event = StreamEnd(response)

                    yield event
                    stage, limit_s = "between chunks", endpoint.settings.idle_timeout_s

    async def _next(
        self, call: Call, events: AsyncGenerator[StreamEvent, None], stage: str, limit_s: float
    ) -> StreamEvent | None:
        """Await one event. The deadline is not held while the consumer works on it."""
        left_s = call.left_s(self._endpoint.clock())
        block = self._endpoint.deadlines.timeout(min(limit_s, left_s))
        try:
            with block:
                return await anext(events, None)
        except TimeoutError as exc:
            if not block.expired:
                raise

            call.stage = stage
            raise (
                self._deadline_error(call)
                if left_s < limit_s
                else self._too_slow(call, stage, limit_s)
            ) from exc

    async def _recover(self, call: Call, exc: ProviderError) -> None:
        """Wait for the next try of `call`, or raise `exc` with all its tries."""
        endpoint = self._endpoint
        now = endpoint.clock()
        call.failed(endpoint.name, exc.data, now)
        decision = endpoint.policy.decide(
            exc.data,
            failures=len(call.attempts),
            time_left_s=call.left_s(now),
            rng=endpoint.rng,
        )
        state = await endpoint.state() if decision.retry else None
        # The budget is there to spare the provider. A try that never reached it costs nothing; nor
        # does the first one on a connection that had gone stale, as thousands may at once.
        stale = exc.data.stale_socket and len(call.attempts) == 1
        free = stale or exc.data.kind in NOT_SENT
        if state is None or not (free or state.retries.spend()):
            raise exc.with_attempts(tuple(call.attempts)) from exc

        endpoint.retries += 1
        if LM_RETRY in endpoint.bus.listeners:
            endpoint.bus.execute(
                LM_RETRY,
                {"delay_s": decision.delay_s, "failures": len(call.attempts)},
                {**self._about(call.scope), "error": exc.data.message, "kind": str(exc.data.kind)},
            )

        call.stage = "backoff"
        await asyncio.sleep(decision.delay_s)
        call.try_began = endpoint.clock()

    def _finish(self, call: Call, response: Response) -> Response:
        endpoint = self._endpoint
        fill(
            response,
            endpoint=endpoint.name,
            latency_s=endpoint.clock() - call.began,
        )
        # Without a price and without failures the wire's own count stands.
        if endpoint.price is not None or call.attempts:
            usage = priced(response.usage, endpoint.price, failed_attempts=len(call.attempts))
            fill(response, usage=usage, attempts=tuple(call.attempts))

        return response

    def _too_slow(self, call: Call, stage: str, limit_s: float) -> ProviderTimeout:
        return ProviderTimeout(
            ErrorData(
                ErrorKind.TIMEOUT,
                f"took longer than {limit_s:g} s",
                provider=self._endpoint.name,
                model=call.request.model,
                stage=stage,
            )
        )

    def _deadline_error(self, call: Call) -> DeadlineExceeded:
        return DeadlineExceeded(
            ErrorData(
                ErrorKind.DEADLINE,
                f"the call's deadline of {call.limit_s:g} s passed",
                provider=self._endpoint.name,
                model=call.request.model,
                stage=call.stage,
                attempts=tuple(call.attempts),
            )
        )

    def _about(self, scope: CallScope) -> dict[str, object]:
        return {
            "endpoint": self._endpoint.name,
            "model": self.model,
            "correlation_id": scope.correlation_id,
        }

    def _report_lookup(self, call: Call, found: Response | None) -> None:
        event = CACHE_MISS if found is None else CACHE_HIT
        bus = self._endpoint.bus
        if event in bus.listeners:
            bus.execute(event, {}, self._about(call.scope))

    def _report_answer(self, call: Call, response: Response) -> None:
        bus = self._endpoint.bus
        if LM_STOP in bus.listeners:
            usage = response.usage
            measured = {
                "duration_s": self._endpoint.clock() - call.began,
                "input_tokens": usage.input_tokens,
                "output_tokens": usage.output_tokens,
                "failed_attempts": usage.failed_attempts,
            }
            bus.execute(LM_STOP, measured, {**self._about(call.scope), "cached": response.cached})

    def _report_failure(self, call: Call, exc: ProviderError) -> None:
        bus = self._endpoint.bus
        if LM_EXCEPTION in bus.listeners:
            measured = {
                "duration_s": self._endpoint.clock() - call.began,
                "failed_attempts": len(exc.attempts),
            }
            about = {**self._about(call.scope), "error": str(exc), "kind": str(exc.data.kind)}
            bus.execute(LM_EXCEPTION, measured, about)


def _addressed(request: Request, model: str) -> Request:
    # Half the price of dataclasses.replace, on every call.
    return Request(
        request.messages,
        model=model,
        sampling=request.sampling,
        tools=request.tools,
        tool_choice=request.tool_choice,
        response_format=request.response_format,
        sample=request.sample,
    )


def _spent(exc: ProviderError) -> Usage:
    """Return what a call that failed for good has used: its tries, and no answer."""
    total = Usage(calls=1, failed_attempts=len(exc.attempts))
    for tried in exc.attempts:
        total = total + tried.usage

    return total
