"""Take a request through the script: checks, limits, latency, then its answer or its fault.

One engine serves all routes; a `Route` says in whose words, and what is answered.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol

from aiohttp import web

from dspex.sandbox.delivery import HTML, JSON, Delivery, Payload, abort
from dspex.sandbox.exchange import Event, Problem, RequestError
from dspex.sandbox.faults import STATUS_FAULTS, Fault
from dspex.sandbox.state import State
from dspex.sandbox.wires import retry_headers

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from dspex.sandbox.script import Plan, Script
    from dspex.sandbox.wires import Dialect

__all__ = ("STATE", "Demand", "Route", "failure", "serve")

STATE: Final = web.AppKey("state", State)
"""Where an application keeps its state."""

_PAGE: Final = b"<html><body>upstream said something else</body></html>"


class Demand(Protocol):
    """A request that was understood."""

    @property
    def tokens(self) -> int:
        """What it is charged against the rate limit: its input and the output it allows."""
        ...

    @property
    def attachments(self) -> int:
        """How many images, sounds and files it holds."""
        ...

    def compose(self, problem: Problem | None = None) -> Payload:
        """Return the answer; with a problem, one of status 200 that says it failed."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """What is served at a path.

    `understand` reads a request into a demand, or raises RequestError. `error_event` is an error
    inside a stream, in this wire's form. `control`: whether it is about batches, which follow their
    own part of the script.
    """

    name: str
    dialect: Dialect
    understand: Callable[[State, web.Request, bytes], Demand]
    error_event: Callable[[Problem], bytes]
    control: bool = False


def serve(route: Route) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    """Return the handler of a route."""

    async def handle(request: web.Request) -> web.StreamResponse:
        return await _Visit(request, route).answered()

    return handle


def failure(
    dialect: Dialect, problem: Problem, script: Script, *, wait_s: float = 0.0, now_s: float = 0.0
) -> web.Response:
    """Return an error answer; a passing rate limit says how long to wait, in the script's form."""
    headers: dict[str, str] = {}
    told_s = 0.0
    if problem.kind == "rate_limited":
        form = script.retry.form
        headers = retry_headers(dialect, form, wait_s, now_s)
        told_s = wait_s if "body" in (dialect.retry if form == "wire" else (form,)) else 0.0

    if script.retry.should_retry is not None:
        headers["x-should-retry"] = str(script.retry.should_retry).lower()

    body = dialect.error(problem, told_s)
    status = dialect.status(problem)
    return web.Response(body=body, status=status, headers=headers, content_type=JSON)


class _Visit:
    """One request on its way through the server."""

    __slots__ = ("_delivery", "_request", "_route", "_state")

    def __init__(self, request: web.Request, route: Route) -> None:
        self._request = request
        self._route = route
        self._state = request.app[STATE]
        self._delivery: Delivery | None = None

    async def answered(self) -> web.StreamResponse:
        """Answer, and count how it ended."""
        state, name = self._state, self._route.name
        state.ledger.enter(name)
        try:
            return await self._respond()
        except RequestError as exc:
            state.ledger.end(name, "bad_requests")
            return failure(self._route.dialect, exc.problem, state.script)
        except (asyncio.CancelledError, ConnectionError):
            state.ledger.end(name, "disconnected")
            self._bill()
            raise
        finally:
            state.ledger.leave(name)

    async def _respond(self) -> web.StreamResponse:
        """Follow the plan for this request; one in bad order or over a limit takes no number."""
        state, route = self._state, self._route
        raw = await self._body()
        if state.resumed is not None:
            await state.resumed.wait()

        script = state.script
        self._check_headers(script)
        demand = route.understand(state, self._request, raw)
        if refusal := self._refusal(script, demand):
            return refusal

        if demand.attachments:
            state.ledger.attach(route.name, demand.attachments)

        plan = state.batch_plan() if route.control else state.plan()
        if plan.fault != "reset" and plan.latency_s:
            await asyncio.sleep(plan.latency_s)

        return await self._follow(plan, demand, script)

    async def _body(self) -> bytes:
        try:
            return await self._request.read()
        except web.HTTPRequestEntityTooLarge as exc:
            raise RequestError(f"The request is too large: {exc.text}", kind="too_large") from exc

    def _check_headers(self, script: Script) -> None:
        """Refuse a request without the headers that its wire demands."""
        headers, dialect = self._request.headers, self._route.dialect
        if script.api_key is not None:
            given = dialect.key(headers, self._request.query)
            if given != script.api_key:
                said = "No API key was given." if given is None else "Incorrect API key given."
                raise RequestError(said, kind="unauthorized")

        for name in dialect.needs:
            if name not in headers:
                raise RequestError(f"{name}: header is required", param=name)

    def _refusal(self, script: Script, demand: Demand) -> web.Response | None:
        """Return the answer to a request that is over the server's capacity or its rate limit."""
        state, route = self._state, self._route
        most = script.max_in_flight
        if most is not None and state.ledger.total.in_flight > most:
            state.ledger.end(route.name, "over_capacity")
            return failure(route.dialect, Problem("unavailable"), script)

        if script.rate_limit is None or route.control:
            return None

        if wait_s := state.over_limit_s(demand.tokens):
            state.ledger.end(route.name, "over_rate_limit")
            return self._failure("rate_limited", wait_s)

        return None

    def _failure(self, fault: Fault, wait_s: float) -> web.Response:
        problem = Problem(STATUS_FAULTS[fault])
        now_s = self._state.wall_clock()
        dialect = self._route.dialect
        return failure(dialect, problem, self._state.script, wait_s=wait_s, now_s=now_s)

    async def _follow(self, plan: Plan, demand: Demand, script: Script) -> web.StreamResponse:
        """Send the answer, or show the fault that the plan has for it."""
        state, route = self._state, self._route
        if plan.fault is None:
            payload = demand.compose()
            self._delivery = Delivery(self._request, payload, self._headers())
            response = await self._delivery.whole()
            state.ledger.settle(route.name, payload.input_tokens, payload.output_tokens)
            return response

        response = await self._show(plan.fault, demand, script)
        state.ledger.fault(route.name, plan.fault)
        self._bill()
        return response

    def _headers(self) -> dict[str, str]:
        """Return the headers of a good answer: its id, and what the rate limit still admits."""
        dialect = self._route.dialect
        headers = {dialect.request_id: f"req_sandbox_{self._state.ledger.total.requests}"}
        if left := self._state.allowance():
            headers |= dialect.limit_headers(left)

        return headers

    def _bill(self) -> None:
        """Charge for the answer as far as it was sent."""
        if self._delivery is not None:
            payload, sent = self._delivery.payload, self._delivery.sent_tokens
            self._state.ledger.bill(self._route.name, payload.input_tokens, sent)

    async def _show(self, fault: Fault, demand: Demand, script: Script) -> web.StreamResponse:
        """Do to the request what `fault` says."""
        if fault in STATUS_FAULTS:
            return self._failure(fault, script.retry_after_s)

        match fault:
            case "reset":
                return abort(self._request, web.Response(), reset=True)
            case "stall_headers":
                await asyncio.sleep(script.stall_s)
                return abort(self._request, web.Response())
            case "garbage":
                return web.Response(body=_PAGE, content_type=JSON)
            case "html_error":
                return web.Response(body=_PAGE, status=502, content_type=HTML)
            case "html_page":
                return web.Response(body=_PAGE, content_type=HTML)
            case "failed":
                payload = demand.compose(Problem("server_error"))
                return await Delivery(self._request, payload).whole()
            case _:
                return await self._damage(fault, demand.compose(), script)

    async def _damage(self, fault: Fault, payload: Payload, script: Script) -> web.StreamResponse:
        """Send an answer that does not arrive as it should."""
        damage = script.damage
        delivery = Delivery(self._request, payload, self._headers())
        match fault:
            case "slow_drip":
                self._delivery = delivery
                return await delivery.drip(damage.drip_bytes, damage.drip_interval_s)
            case "oversized":
                self._delivery = delivery
                response = await delivery.endless(damage.oversized_bytes)
                return abort(self._request, response)
            case "wrong_type" | "malformed_json" | "malformed_event" | "stream_error":
                return await self._corrupted(fault, payload, script)
            case _:
                self._delivery = delivery
                silence_s = script.stall_s if fault == "stall" else 0.0
                response = await delivery.part(damage.after_tokens, silence_s)
                return abort(self._request, response, reset=fault == "reset_body")

    async def _corrupted(
        self, fault: Fault, payload: Payload, script: Script
    ) -> web.StreamResponse:
        """Send an answer whose bytes are wrong, on a connection that is right."""
        if fault == "stream_error" and not payload.streamed:
            return self._failure("server_error", 0.0)

        pieces = _corrupted_pieces(fault, payload, script, self._route)
        kind = "text/plain" if fault == "wrong_type" else payload.content_type
        plain = fault == "wrong_type" and payload.streamed
        changed = Payload(
            [Event(b"".join(event.data for event in pieces))] if plain else pieces,
            streamed=payload.streamed and not plain,
            interval_s=payload.interval_s,
            input_tokens=payload.input_tokens,
            output_tokens=payload.output_tokens,
            content_type=kind,
        )
        self._delivery = Delivery(self._request, changed, self._headers())
        return await self._delivery.whole()


def _corrupted_pieces(fault: Fault, payload: Payload, script: Script, route: Route) -> list[Event]:
    """Return the pieces of an answer with what `fault` does to them."""
    pieces = list(payload.pieces)
    if fault == "wrong_type":
        return pieces

    first = list(payload.start(script.damage.after_tokens))
    if not payload.streamed:
        return first

    if fault == "stream_error":
        return [*first, Event(route.error_event(Problem("overloaded")))]

    broken = pieces[len(first)]
    data = broken.data.rstrip()
    rest = pieces[len(first) + 1 :] if fault == "malformed_event" else []
    return [*first, Event(data[: len(data) * 2 // 3] + b"\n\n", broken.tokens), *rest]
