"""The same calls as ever, through a provider's batch interface: half the price, within a day."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from dspex.clients.batch.line import BatchLine
from dspex.clients.call import Call
from dspex.clients.client import addressed, as_events, ask_once
from dspex.clients.drawing import draw
from dspex.clients.prices import priced
from dspex.effects import LIVE, Effect, current
from dspex.errors import ProviderError, to_exception
from dspex.messages import Response, fill
from dspex.usage import Usage

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Coroutine

    from dspex.clients.batch.queue import BatchQueue
    from dspex.clients.client import Client
    from dspex.clients.endpoint import Endpoint
    from dspex.clients.protocol import CacheMode
    from dspex.effects import BudgetLease, CallScope
    from dspex.messages import Compat, DroppedParam, Request, StreamEvent

__all__ = ("BatchClient",)


class BatchClient:
    """A `ModelClient` whose calls wait for a batch; immutable, and equal by what it names.

    `Runtime.batch` makes one. Calls are gathered while they wait: start many at once. The prices
    are those of batches, and a call's default deadline is that of the batch settings.

    Args:
        client: the client of the same model, whose endpoint and cache it shares.
        queue: where its requests go.
    """

    __slots__ = ("_client", "_queue")

    def __init__(self, client: Client, queue: BatchQueue) -> None:
        self._client = client
        self._queue = queue

    def __repr__(self) -> str:
        return f"<BatchClient {self.name}>"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, BatchClient):
            return NotImplemented

        return (self._client, self._queue) == (other._client, other._queue)

    def __hash__(self) -> int:
        return hash((self._client, self._queue))

    @property
    def name(self) -> str:
        """Return "provider/model"."""
        return self._client.name

    @property
    def compat(self) -> Compat:
        """Return what the endpoint takes."""
        return self._client.compat

    @property
    def endpoint(self) -> Endpoint:
        """The endpoint behind it, for its statistics."""
        return self._queue.endpoint

    def complete(
        self, request: Request, *, timeout_s: float | None = None, cache: CacheMode = "on"
    ) -> Coroutine[Any, Any, Response]:
        """Return the answer when its batch has ended; see `ModelClient.complete`."""
        if not request.model:
            request = addressed(request, self._client.model)

        scope = current()
        if scope.gate is LIVE:
            return self._complete(request, scope, timeout_s, cache)

        effect = Effect(
            "model",
            run=partial(self._complete, request, scope, timeout_s, cache),
            digest=request.digest,
            encode=Response.to_dict,
            decode=Response.from_dict,
        )
        return scope.gate.call(effect)

    async def stream(
        self, request: Request, *, timeout_s: float | None = None
    ) -> AsyncGenerator[StreamEvent, None]:
        """Yield the whole answer at once, when its batch has ended."""
        for event in as_events(await self.complete(request, timeout_s=timeout_s, cache="off")):
            yield event

    async def cancel(self) -> int:
        """Ask the provider to end every batch of this endpoint that is out; return how many.

        What was answered by then still counts; the rest fails with `BatchFailed`.
        """
        return await (await self._queue.batcher()).cancel()

    async def _complete(
        self, request: Request, scope: CallScope, timeout_s: float | None, cache: CacheMode
    ) -> Response:
        limit_s = self._queue.settings.call_timeout_s if timeout_s is None else timeout_s
        with Call(self._queue.endpoint, request, scope, limit_s) as call:
            store = None if cache == "off" else self._client.response_cache
            if store is None:
                call.response = await self._ask(call)
            else:
                call.response = await ask_once(call, store, cache, self._ask)

            return call.response

    async def _ask(self, call: Call) -> Response:
        call.require_time()
        endpoint = call.endpoint
        # Prices and the budget first: what may not be sent is not gathered either.
        await endpoint.state()
        lease, most = await draw(call)
        sent, used = False, most
        try:
            digest = call.request.digest()
            encoded = endpoint.wire.encode(call.request, endpoint.compat, stream=False)
            path = endpoint.wire.url_path(call.request, stream=False)
            line = BatchLine(self._queue.next_id(digest), call.request.model, path, encoded.body)
            call.stage, sent = "batch", True
            response = endpoint.wire.decode(await self._queue.answer(line))
            used = _finish(call, response, encoded.dropped).usage
        except ProviderError as exc:
            used = Usage(calls=1)
            raise _failed(call, exc) from exc
        else:
            return response
        finally:
            _settle(lease, used if sent else None)


def _failed(call: Call, exc: ProviderError) -> ProviderError:
    error = replace(exc.data, provider=call.endpoint.name, model=call.request.model)
    call.failed_try(error)
    return to_exception(replace(error, attempts=tuple(call.attempts)))


def _finish(call: Call, response: Response, dropped: tuple[DroppedParam, ...]) -> Response:
    endpoint = call.endpoint
    if call.bound is not None:
        dropped = (*dropped, call.bound)

    price = endpoint.prices.get(call.request.model)
    usage = priced(
        response.usage, None if price is None else price.batch or price, failed_attempts=0
    )
    return fill(
        response,
        endpoint=endpoint.name,
        usage=usage,
        dropped=dropped,
        latency_s=endpoint.clock() - call.began,
    )


def _settle(lease: BudgetLease | None, used: Usage | None) -> None:
    if lease is None:
        return

    if used is None:
        lease.release()
    else:
        lease.settle(used)
