"""Requests that were understood: chat, embeddings, and what is answered without a model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import orjson

from dspex.sandbox.answering import answer_ask
from dspex.sandbox.delivery import Payload
from dspex.sandbox.embedding import EMBEDDING_ID
from dspex.sandbox.engine import Demand, Route
from dspex.sandbox.exchange import Event, Problem, Reply, RequestError
from dspex.sandbox.model import MODEL_ID

if TYPE_CHECKING:
    from collections.abc import Callable

    from aiohttp import web

    from dspex.sandbox.exchange import Ask
    from dspex.sandbox.state import State
    from dspex.sandbox.wires import ChatWire, Dialect, EmbeddingWire, Target
    from dspex.sandbox.wires.embeddings import EmbeddingAsk

__all__ = (
    "ChatDemand",
    "EmbeddingDemand",
    "Errand",
    "Plain",
    "chat_route",
    "check_model",
    "embedding_route",
    "errand_route",
    "make_reply",
)


@dataclass(frozen=True, slots=True)
class ChatDemand:
    """A chat request."""

    state: State
    wire: ChatWire
    ask: Ask

    @property
    def tokens(self) -> int:
        """Its input, and the output it allows."""
        return self.ask.input_tokens + (self.ask.max_tokens or 0)

    @property
    def attachments(self) -> int:
        """How many images, sounds and files it holds."""
        return self.ask.attachments

    def compose(self, problem: Problem | None = None) -> Payload:
        """Return the answer."""
        reply = make_reply(self.state, self.ask, problem)
        usage = reply.usage
        if not self.ask.stream:
            body = self.wire.body(reply)
            return Payload(
                [Event(body, usage.output_tokens)],
                input_tokens=usage.input_tokens,
                output_tokens=usage.output_tokens,
            )

        return Payload(
            list(self.wire.events(reply)),
            streamed=True,
            interval_s=self.state.script.interval_s,
            input_tokens=usage.input_tokens,
            output_tokens=usage.output_tokens,
        )


@dataclass(frozen=True, slots=True)
class EmbeddingDemand:
    """An embeddings request."""

    wire: EmbeddingWire
    ask: EmbeddingAsk
    attachments: int = 0

    @property
    def tokens(self) -> int:
        """Its input."""
        return self.ask.input_tokens

    def compose(self, problem: Problem | None = None) -> Payload:
        """Return the vectors."""
        if problem is not None:
            return Payload([Event(self.wire.dialect.error(problem, 0.0))])

        return Payload([Event(self.wire.body(self.ask))], input_tokens=self.ask.input_tokens)


@dataclass(frozen=True, slots=True)
class Plain:
    """An answer that is not JSON."""

    data: bytes
    content_type: str


@dataclass(frozen=True, slots=True)
class Errand:
    """A request about files and batches: done when it is answered, so not before an error."""

    dialect: Dialect
    run: Callable[[], object]
    tokens: int = 0
    attachments: int = 0

    def compose(self, problem: Problem | None = None) -> Payload:
        """Do it and return what it says: `Plain` as it is, anything else as JSON."""
        if problem is not None:
            return Payload([Event(self.dialect.error(problem, 0.0))])

        found = self.run()
        if isinstance(found, Plain):
            return Payload([Event(found.data)], content_type=found.content_type)

        return Payload([Event(orjson.dumps(found))])


def make_reply(state: State, ask: Ask, problem: Problem | None = None) -> Reply:
    """Let the model answer under the script."""
    reply = answer_ask(
        state.model,
        state.script,
        ask,
        model_seed=state.model_seed,
        number=state.ledger.total.requests,
    )
    if problem is None:
        return reply

    return Reply(ask, reply.choices, reply.usage, number=reply.number, problem=problem)


def check_model(state: State, name: str, own: str = MODEL_ID) -> None:
    """Refuse a model that is not served.

    Raises:
        RequestError: it is not `own`, and no other name in the script.
    """
    if name != own and name not in state.script.models:
        raise RequestError(
            f"The model {name!r} does not exist; the sandbox serves {own!r}",
            kind="not_found",
            param="model",
        )


def chat_route(wire: ChatWire, target: Callable[[web.Request], Target]) -> Route:
    """Return the route of a chat wire; `target` reads what is in the path."""

    def understand(state: State, request: web.Request, raw: bytes) -> Demand:
        ask = wire.read(raw, target(request))
        check_model(state, ask.model)
        return ChatDemand(state, wire, ask)

    error_event = wire.error_event or wire.dialect.error_event
    return Route(
        name=wire.name, dialect=wire.dialect, understand=understand, error_event=error_event
    )


def embedding_route(wire: EmbeddingWire, target: Callable[[web.Request], Target]) -> Route:
    """Return the route of an embeddings wire."""

    def understand(state: State, request: web.Request, raw: bytes) -> Demand:
        ask = wire.read(raw, target(request))
        check_model(state, ask.model, EMBEDDING_ID)
        return EmbeddingDemand(wire, ask)

    return Route(
        name=wire.name,
        dialect=wire.dialect,
        understand=understand,
        error_event=wire.dialect.error_event,
    )


def errand_route(
    name: str, dialect: Dialect, run: Callable[[State, web.Request, bytes], object]
) -> Route:
    """Return a route about batches: `run` gives a `Plain`, or a value for JSON."""

    def understand(state: State, request: web.Request, raw: bytes) -> Demand:
        return Errand(dialect, lambda: run(state, request, raw))

    return Route(
        name=name,
        dialect=dialect,
        understand=understand,
        error_event=dialect.error_event,
        control=True,
    )
