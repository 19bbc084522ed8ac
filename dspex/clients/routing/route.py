"""One call's way through a router: who was asked, what came of it, and how much time is left."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

from dspex.clients.routing.candidate import usable
from dspex.clients.routing.failover import (
    attempts_of,
    final_error,
    may_fail_over,
    roomier,
)
from dspex.errors import DeadlineExceeded, ErrorData, ErrorKind
from dspex.usage import Usage, UsageMeter

if TYPE_CHECKING:
    from dspex.clients.client import Client
    from dspex.clients.routing.router import Router
    from dspex.effects import CallScope
    from dspex.errors import Attempt, ProviderError
    from dspex.messages import EmbedResponse, Request, Response

__all__ = ("Route",)


class Route:
    """Asks each client at most once, all within one deadline; each keeps a fair share of it.

    Args:
        router: whose clients are asked.
        request: what is asked.
        scope: where the call stands.
        timeout_s: of the whole; None takes the longest of the clients' own.
        streaming: which of a client's latencies count.
    """

    __slots__ = (
        "_asked_at",
        "_attempts",
        "_began",
        "_errors",
        "_left",
        "_limit_s",
        "_meter",
        "_need_tokens",
        "_request",
        "_router",
        "_scope",
        "_streaming",
        "_used",
    )

    def __init__(
        self,
        router: Router,
        request: Request,
        scope: CallScope,
        timeout_s: float | None,
        *,
        streaming: bool,
    ) -> None:
        self._router = router
        self._request = request
        self._scope = scope
        self._streaming = streaming
        self._began = self._asked_at = router.clock()
        self._limit_s = _limit_s(router, scope, self._began, timeout_s)
        self._left = set(range(len(router.clients)))
        self._attempts: tuple[Attempt, ...] = ()
        self._errors: list[ErrorData] = []
        self._used = Usage()
        self._meter: UsageMeter | None = None
        self._need_tokens: int | None = None

    def next(self) -> tuple[Client, float]:
        """Return whom to ask now, and for how long; nobody is returned twice.

        Raises:
            ProviderError: nobody is left who may do better, or no time.
        """
        router = self._router
        candidates = router.view(self._request, streaming=self._streaming)
        here = [candidate for candidate in candidates if candidate.index in self._left]
        if self._errors and self._errors[-1].kind is ErrorKind.CONTEXT_WINDOW:
            here = roomier(here, self._need_tokens)

        self._asked_at = router.clock() if self._errors else self._began
        left_s = self._began + self._limit_s - self._asked_at
        if self._errors and (not here or left_s <= 0):
            raise final_error(self._errors, self._attempts)

        worth_asking = usable(here)
        chosen = router.choose(worth_asking, self._scope.correlation_id, again=bool(self._errors))
        self._left.discard(chosen.index)
        self._need_tokens = chosen.context_tokens
        share_s = left_s if len(worth_asking) == 1 else _round_up(left_s / len(worth_asking))
        return router.clients[chosen.index], min(share_s, left_s)

    def meter(self) -> UsageMeter:
        """Return what counts the next client's share of the scope's usage."""
        self._meter = UsageMeter(self._scope.meter)
        return self._meter

    def failed(self, client: Client, exc: ProviderError, *, handed_on: bool = False) -> None:
        """Note a failure.

        Args:
            client: whose.
            exc: what it raised.
            handed_on: whether the caller has had a part of its answer.

        Raises:
            ProviderError: the next client would do no better, or must not be asked.
        """
        error = exc.data
        latency_s = self._router.clock() - self._asked_at
        self._attempts += attempts_of(error, client.endpoint.name, latency_s)
        self._errors.append(error)
        if self._meter is not None:
            self._used += self._meter.total

        if handed_on or not may_fail_over(error):
            raise exc.with_attempts(self._attempts) from exc

    def too_slow(self, client: Client, share_s: float) -> DeadlineExceeded:
        """Return the error of a client whose stream did not begin within its share."""
        return DeadlineExceeded(
            ErrorData(
                ErrorKind.DEADLINE,
                f"nothing came within its share of {share_s:g} s",
                provider=client.endpoint.name,
                model=self._request.model or client.model,
                stage="first byte",
            )
        )

    def answered(self, response: Response) -> Response:
        """Return the response with what failed before it."""
        if not self._attempts:
            return response

        # A copy: the one that came may be in the cache, or in other callers' hands.
        return replace(
            response,
            usage=response.usage + self._used,
            attempts=(*self._attempts, *response.attempts),
            latency_s=self._router.clock() - self._began,
        )

    def embedded(self, response: EmbedResponse) -> EmbedResponse:
        """Return the vectors with what failed before them."""
        if not self._attempts:
            return response

        return replace(
            response,
            usage=response.usage + self._used,
            attempts=(*self._attempts, *response.attempts),
            latency_s=self._router.clock() - self._began,
        )

    @property
    def left_s(self) -> float:
        """What is left of the whole time."""
        return self._began + self._limit_s - self._router.clock()


def _limit_s(router: Router, scope: CallScope, now: float, timeout_s: float | None) -> float:
    limit_s = timeout_s
    if limit_s is None:
        limit_s = max(client.endpoint.settings.call_timeout_s for client in router.clients)

    ends = scope.deadline
    if scope.budget is not None and scope.budget.deadline is not None:
        ends = scope.budget.deadline if ends is None else min(ends, scope.budget.deadline)

    return limit_s if ends is None else min(limit_s, max(0.0, ends - now))


def _round_up(seconds: float) -> float:
    """Return a time limit from a few distinct ones, since each of them has a timer of its own."""
    return math.ceil(seconds * 10.0) / 10.0
