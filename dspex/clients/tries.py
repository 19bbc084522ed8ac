"""Trying a call until it is answered or cannot be: one try after the other, each admitted anew."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from dataclasses import replace
from typing import TYPE_CHECKING

from dspex.clients.admission import Try, admit, too_slow
from dspex.clients.attempt import attempt, attempt_streaming
from dspex.clients.call import NOT_SENT, Call
from dspex.clients.prices import priced
from dspex.clients.reports import report_retry
from dspex.errors import ErrorKind, ProviderError, to_exception
from dspex.messages import StreamStart, TextDelta, ToolCallDelta, fill
from supervision.deadline import Timeout

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator
    from types import TracebackType

    from dspex.clients.call import Call
    from dspex.clients.transport import Transport
    from dspex.messages import Response, StreamEvent

__all__ = ("ask", "ask_streaming", "recover")


async def ask(call: Call) -> Response:
    """Return the answer.

    Raises:
        ProviderError: the last try's, with all of them in it.
    """
    call.require_time()
    while True:
        try:
            with await admit(call, call.endpoint.settings.attempt_timeout_s) as this:
                endpoint = call.endpoint
                response = await attempt(
                    this.transport,
                    endpoint.wire,
                    endpoint.compat,
                    call.request,
                    provider=endpoint.name,
                    secrets=endpoint.secrets,
                )
                this.response = _finish(call, response)

        except ProviderError as exc:
            await recover(call, exc)
        else:
            assert this.response is not None, "a try without a failure has an answer"
            return this.response


async def ask_streaming(call: Call) -> AsyncGenerator[StreamEvent, None]:
    """Yield the answer as it comes; a try that failed before the first token is repeated.

    The start is held back until then: servers are quick to begin an answer that they never give,
    and who has seen one start must not see another.

    Raises:
        ProviderError: the last try's, with all of them in it.
    """
    call.require_time()
    told = False
    while True:
        start: StreamStart | None = None
        try:
            with await _admit_in_time(call) as this:
                async with (
                    aclosing(_events(call, this.transport)) as chunks,
                    aclosing(_in_time(call, chunks)) as timely,
                ):
                    async for event in timely:
                        if isinstance(event, StreamStart):
                            start = event
                            continue

                        told = True
                        if start is not None:
                            yield start
                            start = None

                        if isinstance(event, TextDelta):
                            call.heard += len(event.text)
                        elif isinstance(event, ToolCallDelta):
                            call.heard += len(event.arguments)
                        else:
                            this.response = call.response = _finish(call, event.response)

                        yield event

        except ProviderError as exc:
            with _Deadline(call):
                await recover(call, _delivered(exc) if told else exc)
        else:
            return


def _events(call: Call, transport: Transport) -> AsyncGenerator[list[StreamEvent], None]:
    endpoint = call.endpoint
    return attempt_streaming(
        transport,
        endpoint.wire,
        endpoint.compat,
        call.request,
        provider=endpoint.name,
        secrets=endpoint.secrets,
    )


async def _in_time(
    call: Call, chunks: AsyncGenerator[list[StreamEvent], None]
) -> AsyncGenerator[StreamEvent, None]:
    """Yield the events of chunks that come in time.

    No deadline runs while the consumer works on one.
    """
    settings = call.endpoint.settings
    stage, limit_s = "first byte", settings.first_byte_timeout_s
    while True:
        call.stage = stage
        left_s = call.block_s()
        block = call.endpoint.deadlines.timeout(min(limit_s, left_s))
        try:
            with block:
                events = await anext(chunks, None)
        except TimeoutError as exc:
            raise (call.late() if left_s < limit_s else too_slow(call, limit_s)) from exc

        if events is None:
            return

        for event in events:
            yield event

        stage, limit_s = "between chunks", settings.idle_timeout_s


class _Deadline(Timeout):
    """A block within a streamed call's deadline, where its consumer is not at work."""

    __slots__ = ("_call",)

    def __init__(self, call: Call) -> None:
        super().__init__(call.endpoint.deadlines, call.block_s())
        self._call = call

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        try:
            super().__exit__(exc_type, exc, traceback)
        except TimeoutError as late:
            raise self._call.late() from late


async def _admit_in_time(call: Call) -> Try:
    with _Deadline(call):
        return await admit(call, None)


async def recover(call: Call, exc: ProviderError) -> None:
    """Wait for the next try of `call`, or raise `exc` with all its tries."""
    endpoint, error = call.endpoint, exc.data
    call.failed_try(error)
    failures = len(call.attempts)
    decision = endpoint.policy.decide(
        error, failures=failures, time_left_s=call.left_s(), rng=endpoint.rng
    )
    call.cut_short = decision.cut_short
    # The budget is there to spare the provider. A try that never reached it costs nothing; nor does
    # the first one on a connection that had gone stale, as thousands may at once. What is refused
    # for its rate waits for its turn at the limiter, which holds everybody back.
    free = (
        error.kind in NOT_SENT
        or error.kind is ErrorKind.RATE_LIMIT
        or (error.stale_socket and failures == 1)
    )
    state = endpoint.live_state
    if not decision.retry or not (free or state is None or state.retries.spend()):
        raise exc.with_attempts(tuple(call.attempts)) from exc

    endpoint.retries += 1
    report_retry(call, error, decision.delay_s)
    call.stage = "backoff"
    await asyncio.sleep(decision.delay_s)
    call.try_began = endpoint.clock()


def _finish(call: Call, response: Response) -> Response:
    endpoint = call.endpoint
    latency_s = endpoint.clock() - call.began
    endpoint.tally.answered(latency_s, response.usage)
    fill(response, endpoint=endpoint.name, latency_s=latency_s)
    price = endpoint.prices.get(call.request.model)
    # Without a price and without failures the wire's own count stands.
    if price is not None or call.attempts:
        usage = priced(response.usage, price, failed_attempts=len(call.attempts))
        fill(response, usage=usage, attempts=tuple(call.attempts))

    if call.bound is not None:
        fill(response, dropped=(*response.dropped, call.bound))

    return response


def _delivered(error: ProviderError) -> ProviderError:
    """Mark an error as having come after part of the answer had been handed on."""
    marked = to_exception(replace(error.data, delivered=True))
    marked.__cause__ = error.__cause__
    return marked
