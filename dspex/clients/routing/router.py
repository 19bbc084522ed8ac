"""Several clients behind one: spreads calls over them, and asks the next when one fails."""

from __future__ import annotations

from contextlib import aclosing
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from dspex.clients.client import as_events
from dspex.clients.routing.common import common_compat
from dspex.clients.routing.latency import DecayingAverage
from dspex.clients.routing.looking import look_at, price_of
from dspex.clients.routing.policies import Cheapest, policy_of
from dspex.clients.routing.route import Route
from dspex.clients.routing.sticky import stick
from dspex.clients.routing.weights import weights_of
from dspex.effects import LIVE, Effect, current, scope
from dspex.errors import ProviderError, UnsupportedFeature
from dspex.messages import (
    EmbedRequest,
    EmbedResponse,
    Request,
    Response,
    StreamEnd,
    StreamEvent,
    StreamStart,
)
from dspex.telemetry.events import SETTINGS_CHANGED

if TYPE_CHECKING:
    import random
    from collections.abc import AsyncGenerator, Callable, Coroutine, Mapping, Sequence

    from dspex.clients.client import Client
    from dspex.clients.protocol import CacheMode
    from dspex.clients.routing.candidate import Candidate
    from dspex.messages import Compat

__all__ = ("Router",)

_T = TypeVar("_T")


class Router:
    """A `ModelClient` over several clients, equal by what it names and how it was made.

    `Runtime.client` with several names makes one. What it learns (whose turn it is, how fast each
    one answers) belongs to it and grows no further. `retune` changes its weights while it is used.

    Args:
        clients: whom to ask, two or more.
        policy: how to spread calls.
        weights: by name; 1 for what is not there.
        sticky: calls of one correlation id go to one client, while it works.
        rng: for policies that toss.

    Raises:
        ConfigError: there are too few clients or one twice, or a weight is wrong.
    """

    __slots__ = (
        "_latencies",
        "_made_with",
        "_names",
        "_policy",
        "_rng",
        "_sticky",
        "_turn",
        "_weights",
        "clients",
        "clock",
        "compat",
    )

    def __init__(
        self,
        clients: Sequence[Client],
        *,
        policy: str = "round_robin",
        weights: Mapping[str, float] | None = None,
        sticky: bool = False,
        rng: random.Random,
    ) -> None:
        self.clients = tuple(clients)
        self._names = tuple(client.name for client in clients)
        self._policy = policy_of(policy)
        self._weights = self._made_with = weights_of(self._names, weights or {})
        self._sticky = sticky
        self._rng = rng
        self._turn = -1
        # By what is asked: a whole answer and a stream's first token take different times.
        self._latencies = {
            kind: tuple(DecayingAverage() for _ in clients) for kind in (False, True)
        }
        self.clock: Callable[[], float] = self.clients[0].endpoint.clock
        self.compat: Compat = common_compat([client.compat for client in clients])

    def __repr__(self) -> str:
        return f"<Router {self.name} {self._policy}>"

    def __eq__(self, other: object) -> bool:
        return self._value == other._value if isinstance(other, Router) else NotImplemented

    def __hash__(self) -> int:
        return hash(self._value)

    @property
    def _value(self) -> tuple[object, ...]:
        return self.clients, self._policy, self._made_with, self._sticky

    @property
    def name(self) -> str:
        """Return the names of its clients: "openai/a | local/b"."""
        return " | ".join(self._names)

    def complete(
        self, request: Request, *, timeout_s: float | None = None, cache: CacheMode = "on"
    ) -> Coroutine[Any, Any, Response]:
        """Return the answer of the first client that has one; see `ModelClient.complete`.

        The response's `endpoint` and `model` say who answered, its `attempts` what failed before.
        """
        gate = current().gate
        if gate is LIVE:
            return self._complete(request, timeout_s, cache)

        # What is on record is the answer and not who was asked, which depends on the moment.
        effect = Effect(
            "model",
            run=partial(_live, partial(self._complete, request, timeout_s, cache)),
            digest=request.digest,
            encode=Response.to_dict,
            decode=Response.from_dict,
        )
        return gate.call(effect)

    async def stream(
        self, request: Request, *, timeout_s: float | None = None
    ) -> AsyncGenerator[StreamEvent, None]:
        """Yield the answer as it comes; until its first token the next client may be asked.

        After that a failure ends the stream: what was handed on cannot be taken back. See
        `Client.stream` for deadlines and for closing it.
        """
        place = current()
        if place.gate is not LIVE:
            for event in as_events(await self.complete(request, timeout_s=timeout_s, cache="off")):
                yield event

            return

        await self._prepare()
        route = Route(self, request, place, timeout_s, streaming=True)
        while True:
            client, share_s = route.next()
            handed_on = False
            try:
                async with aclosing(self._first_in_time(route, client, request, share_s)) as events:
                    async for event in events:
                        handed_on = True
                        yield _ended(route, event)

                return
            except ProviderError as exc:
                route.failed(client, exc, handed_on=handed_on)

    async def embed(
        self,
        texts: EmbedRequest | Sequence[str],
        *,
        timeout_s: float | None = None,
        cache: CacheMode = "on",
    ) -> EmbedResponse:
        """Return a vector for each text; see `Client.embed`.

        Raises:
            UnsupportedFeature: the clients are of different models, whose vectors cannot be
                compared, or one has no embeddings.
            ProviderError: as `complete` does.
        """
        models = sorted({client.model for client in self.clients})
        if len(models) > 1:
            raise UnsupportedFeature(
                f"vectors of different models cannot be compared, and this router has "
                f"{', '.join(models)}: route embeddings over endpoints of one model"
            )

        request = texts if isinstance(texts, EmbedRequest) else EmbedRequest(tuple(texts))
        gate = current().gate
        run = partial(self._embed, request, timeout_s, cache)
        if gate is LIVE:
            return await run()

        effect = Effect(
            "embed",
            run=partial(_live, run),
            digest=request.digest,
            encode=EmbedResponse.to_dict,
            decode=EmbedResponse.from_dict,
        )
        return await gate.call(effect)

    def retune(self, *, weights: Mapping[str, float]) -> None:
        """Spread calls by other weights from now on; by name, 1 for what is not there.

        Raises:
            ConfigError: a weight is wrong; nothing has changed.
        """
        self._weights = weights_of(self._names, weights)
        bus = self.clients[0].endpoint.bus
        if SETTINGS_CHANGED in bus.listeners:
            about = {"table": f"router {self.name}", "changes": {"weights": dict(weights)}}
            bus.execute(SETTINGS_CHANGED, {}, about)

    def view(self, request: Request, *, streaming: bool) -> list[Candidate]:
        """Return one moment of every client."""
        now_s = self.clock()
        latencies, priced = self._latencies[streaming], isinstance(self._policy, Cheapest)
        return [
            look_at(
                index,
                client,
                request,
                weight=self._weights[index],
                latency_s=latencies[index].read(now_s),
                price_usd=price_of(client, request) if priced else None,
            )
            for index, client in enumerate(self.clients)
        ]

    def choose(
        self, candidates: Sequence[Candidate], correlation_id: str | None, *, again: bool
    ) -> Candidate:
        """Return whom to ask of those worth asking; `again`: for a call that failed elsewhere."""
        if self._sticky and correlation_id is not None:
            return stick(candidates, self._names, correlation_id)

        # A turn is a call's. If failing over took one too, then of two clients the one that fails
        # would be the first to be asked in every call.
        if not again:
            self._turn += 1

        return self._policy.choose(candidates, self._turn, self._rng)

    async def _complete(
        self, request: Request, timeout_s: float | None, cache: CacheMode
    ) -> Response:
        await self._prepare()
        route = Route(self, request, current(), timeout_s, streaming=False)
        while True:
            client, share_s = route.next()
            try:
                with scope(meter=route.meter()):
                    response = await client.complete(request, timeout_s=share_s, cache=cache)

            except ProviderError as exc:
                route.failed(client, exc)
            else:
                if not response.cached:
                    self._learn(client, response.latency_s, streaming=False)

                return route.answered(response)

    async def _embed(
        self, request: EmbedRequest, timeout_s: float | None, cache: CacheMode
    ) -> EmbedResponse:
        await self._prepare()
        words = Request((), model=request.model)
        route = Route(self, words, current(), timeout_s, streaming=False)
        while True:
            client, share_s = route.next()
            try:
                with scope(meter=route.meter()):
                    response = await client.embed(request, timeout_s=share_s, cache=cache)

            except ProviderError as exc:
                route.failed(client, exc)
            else:
                return route.embedded(response)

    async def _first_in_time(
        self, route: Route, client: Client, request: Request, share_s: float
    ) -> AsyncGenerator[StreamEvent, None]:
        """Yield a client's stream, whose first token must come within the client's share.

        The start is held back until then: it says nothing that a caller could use.
        """
        began_s, start = self.clock(), list[StreamEvent]()
        block = client.endpoint.deadlines.timeout(share_s)
        async with aclosing(client.stream(request, timeout_s=route.left_s)) as events:
            try:
                # Nothing is handed on in this block, so that the scope stays our own.
                with block, scope(meter=route.meter()):
                    async for event in events:
                        start.append(event)
                        if not isinstance(event, StreamStart):
                            break

            except TimeoutError as exc:
                raise route.too_slow(client, share_s) from exc

            self._learn(client, self.clock() - began_s, streaming=True)
            for event in start:
                yield event

            async for event in events:
                yield event

    def _learn(self, client: Client, latency_s: float, *, streaming: bool) -> None:
        index = self.clients.index(client)
        self._latencies[streaming][index].add(latency_s, self.clock())

    async def _prepare(self) -> None:
        if isinstance(self._policy, Cheapest):
            for client in self.clients:
                await client.endpoint.prices.load()


async def _live(run: Callable[[], Coroutine[Any, Any, _T]]) -> _T:
    """Run what has passed the gate: what it calls must not pass again."""
    with scope(gate=LIVE):
        return await run()


def _ended(route: Route, event: StreamEvent) -> StreamEvent:
    return StreamEnd(route.answered(event.response)) if isinstance(event, StreamEnd) else event
