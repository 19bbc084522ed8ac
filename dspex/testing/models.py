"""A model that answers from a script: for tests, and for examples that need no provider."""

from __future__ import annotations

import asyncio
import inspect
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

from dspex.adapters.rendering import render_value
from dspex.adapters.sections import COMPLETED, header
from dspex.effects import LIVE, Effect, current
from dspex.errors import DeadlineExceeded, ErrorData, ErrorKind
from dspex.messages import (
    Choice,
    Compat,
    Request,
    Response,
    StreamEnd,
    StreamEvent,
    StreamStart,
    TextDelta,
)
from dspex.usage import Usage

if TYPE_CHECKING:
    from dspex.clients.protocol import CacheMode

__all__ = ("Script", "ScriptedAnswer", "ScriptedModel", "ScriptedStatistics")

ScriptedAnswer: TypeAlias = str | Mapping[str, Any] | BaseException | Response
"""A text; fields, which are written as `ChatAdapter` reads them; an error to raise; a response."""

Script: TypeAlias = (
    "Iterable[ScriptedAnswer] | Callable[[Request], ScriptedAnswer | Awaitable[ScriptedAnswer]]"
)


@dataclass(frozen=True, slots=True)
class ScriptedStatistics:
    """What a scripted model has seen so far."""

    calls: int
    in_flight: int
    max_in_flight: int


class ScriptedModel:
    """Answers requests from a script and remembers what it was asked. A `ModelClient`.

    Args:
        script: the answers in order; or a function, sync or async, from the request to its answer.
        latency_s: how long an answer takes on the event loop's clock.
        name: "provider/model".
        compat: what it takes.
        usage_per_call: what one choice uses; None counts four characters as a token.
        max_requests: how many of the last requests are kept.

    Safe to call from any number of tasks of one event loop. A call that is cancelled while it waits
    takes no answer from the list.
    """

    def __init__(
        self,
        script: Script,
        *,
        latency_s: float = 0.0,
        name: str = "scripted/model",
        compat: Compat | None = None,
        usage_per_call: Usage | None = None,
        max_requests: int = 1_000,
    ) -> None:
        self.name = name
        self.compat = compat or Compat()
        self.calls = 0
        self.in_flight = 0
        self.max_in_flight = 0
        self.requests: deque[Request] = deque(maxlen=max_requests)
        self._latency_s = latency_s
        self._usage = usage_per_call
        self._function = script if callable(script) else None
        self._answers = iter(()) if callable(script) else iter(script)

    def statistics(self) -> ScriptedStatistics:
        """Return a snapshot of the counters."""
        return ScriptedStatistics(self.calls, self.in_flight, self.max_in_flight)

    async def complete(
        self,
        request: Request,
        *,
        timeout_s: float | None = None,
        cache: CacheMode = "on",
    ) -> Response:
        """Return the next answer, metered and through the gate of the current scope."""
        here = current()
        deadline = _deadline(here.deadline, timeout_s)
        if here.gate is LIVE:
            response = await self._answer_by(deadline, request)
        else:
            response = await here.gate.call(
                Effect(
                    "lm",
                    run=lambda: self._answer_by(deadline, request),
                    digest=request.digest,
                    encode=Response.to_dict,
                    decode=Response.from_dict,
                )
            )

        if here.meter is not None:
            here.meter.add(response.usage)

        return response

    async def stream(
        self, request: Request, *, timeout_s: float | None = None
    ) -> AsyncIterator[StreamEvent]:
        """Yield the next answer word by word."""
        response = await self.complete(request, timeout_s=timeout_s)
        yield StreamStart(response.model)
        for index, choice in enumerate(response.choices):
            for word in choice.text.splitlines(keepends=True):
                yield TextDelta(word, choice=index)

        yield StreamEnd(response)

    async def _answer_by(self, deadline: float | None, request: Request) -> Response:
        if deadline is None:
            return await self._answer(request)

        try:
            async with asyncio.timeout_at(deadline):
                return await self._answer(request)
        except TimeoutError as exc:
            message = "the deadline passed before the script's answer came"
            data = ErrorData(ErrorKind.DEADLINE, message, model=self.name, stage="first byte")
            raise DeadlineExceeded(data) from exc

    async def _answer(self, request: Request) -> Response:
        self.calls += 1
        self.requests.append(request)
        self.in_flight += 1
        self.max_in_flight = max(self.max_in_flight, self.in_flight)
        meter = current().meter
        if meter is not None:
            meter.enter_call()

        try:
            if self._latency_s:
                await asyncio.sleep(self._latency_s)

            choices = [await self._next(request) for _ in range(request.sampling.n)]
        finally:
            self.in_flight -= 1
            if meter is not None:
                meter.leave_call()

        return self._response(request, choices)

    async def _next(self, request: Request) -> str | Response:
        answer = await self._scripted(request)
        if isinstance(answer, BaseException):
            raise answer

        if isinstance(answer, (str, Response)):
            return answer

        return _as_sections(answer)

    async def _scripted(self, request: Request) -> ScriptedAnswer:
        if self._function is not None:
            answer = self._function(request)
            return await answer if inspect.isawaitable(answer) else answer

        try:
            return next(self._answers)
        except StopIteration:
            raise AssertionError(
                f"the script of {self.name!r} has no answer for call {self.calls}: "
                f"{request.messages[-1].text!r}"
            ) from None

    def _response(self, request: Request, answers: list[str | Response]) -> Response:
        if isinstance(answers[0], Response):
            return answers[0]

        texts = [answer.text if isinstance(answer, Response) else answer for answer in answers]
        return Response(
            tuple(Choice(text) for text in texts),
            model=request.model or self.name,
            endpoint=self.name,
            usage=self._usage or _estimate(request, texts),
            latency_s=self._latency_s,
        )

    def __repr__(self) -> str:
        return f"<ScriptedModel {self.name!r}, {self.calls} calls, {self.in_flight} in flight>"


def _deadline(scoped: float | None, timeout_s: float | None) -> float | None:
    if timeout_s is None:
        return scoped

    own = asyncio.get_running_loop().time() + timeout_s
    return own if scoped is None else min(own, scoped)


def _as_sections(fields: Mapping[str, Any]) -> str:
    sections = [f"{header(name)}\n{render_value(value)}" for name, value in fields.items()]
    return "\n\n".join((*sections, header(COMPLETED)))


def _estimate(request: Request, texts: list[str]) -> Usage:
    return Usage(
        input_tokens=sum(len(message.text) for message in request.messages) // 4,
        output_tokens=sum(len(text) for text in texts) // 4,
        calls=1,
    )
