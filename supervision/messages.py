"""What actors are sent, and how their methods are marked to take it."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, Generic, Literal, TypeAlias, TypeVar, overload

from supervision.deadline import Entry
from supervision.errors import CallTimeout

if TYPE_CHECKING:
    import asyncio

    from supervision.reasons import Reason

__all__ = (
    "INLINE",
    "Call",
    "Handler",
    "Kind",
    "Reply",
    "ReplyTo",
    "Stopping",
    "System",
    "as_reply",
    "handle",
    "handler_of",
)

F = TypeVar("F", bound=Callable[..., Any])
R = TypeVar("R")

_MARK: Final = "__supervision_handler__"

Kind: TypeAlias = Literal["call", "cast", "info"]


class Handler:
    """What is known of a handler; looked at for each message, so with plain slots."""

    __slots__ = ("is_async", "is_plain", "kind", "replies")

    def __init__(self, kind: Kind, *, is_async: bool, replies: tuple[type[Exception], ...]) -> None:
        self.kind = kind
        self.is_async = is_async
        self.is_plain = not is_async
        self.replies = replies


INLINE: Final = Handler("call", is_async=False, replies=())
"""Of a call that is answered inline, and so has no handler of its own at hand."""


class Reply(Exception):
    """Raise in a call handler to raise `error` in the caller; the actor goes on."""

    def __init__(self, error: Exception) -> None:
        super().__init__(error)
        self.error = error


class handle:  # noqa: N801 - a namespace of decorators, read as a verb
    """Mark methods of an actor as handlers: `@handle.call`, `@handle.cast`, `@handle.info`."""

    @overload
    @staticmethod
    def call(function: F) -> F: ...

    @overload
    @staticmethod
    def call(*, replies: tuple[type[Exception], ...]) -> Callable[[F], F]: ...

    @staticmethod
    def call(
        function: Callable[..., Any] | None = None,
        *,
        replies: tuple[type[Exception], ...] = (),
    ) -> Any:
        """Answer calls; errors of the types in `replies` are answers, which do not end it."""
        if function is not None:
            return _mark(function, "call", ())

        def mark(function: F) -> F:
            return _mark(function, "call", replies)

        return mark

    @staticmethod
    def cast(function: F) -> F:
        """Take messages that get no answer."""
        return _mark(function, "cast", ())

    @staticmethod
    def info(function: F) -> F:
        """Take what comes by `ref.send(message)`, of whatever kind."""
        return _mark(function, "info", ())


def _mark(function: F, kind: Kind, replies: tuple[type[Exception], ...]) -> F:
    handler = Handler(kind, is_async=inspect.iscoroutinefunction(function), replies=replies)
    setattr(function, _MARK, handler)
    return function


class Call(Entry):
    """A request on its way, the future of its answer, and the time limit of whoever waits."""

    __slots__ = ("args", "future", "handler", "method", "target", "timeout")

    def __init__(
        self,
        method: Callable[..., Any],
        handler: Handler,
        args: tuple[Any, ...],
        future: asyncio.Future[Any] | None = None,
    ) -> None:
        self.pending = False
        self.method = method
        self.handler = handler
        self.args = args
        self.future = future
        self.target: object = None
        self.timeout = 0.0

    def fire(self) -> None:
        """Take too long."""
        self.fail(CallTimeout(self.target, self.timeout))

    def __repr__(self) -> str:
        return f"<{self.handler.kind} {getattr(self.method, '__name__', self.method)}>"

    @property
    def stale(self) -> bool:
        """Whether the caller waits no more."""
        return self.future is not None and self.future.done()

    def answer(self, value: object) -> None:
        """Give the caller its value."""
        if self.future is not None and not self.future.done():
            self.future.set_result(value)

    def fail(self, exc: Exception) -> None:
        """Raise `exc` in the caller."""
        if self.future is not None and not self.future.done():
            self.future.set_exception(exc)


class ReplyTo(Generic[R]):
    """The right to answer a call later, from anywhere; what `Actor.defer` returns."""

    __slots__ = ("_call", "_open")

    def __init__(self, call: Call, open_calls: set[Call]) -> None:
        self._call = call
        self._open = open_calls
        open_calls.add(call)

    def reply(self, value: R) -> None:
        """Answer; no effect if the caller waits no more."""
        self._open.discard(self._call)
        self._call.answer(value)

    def fail(self, error: Exception) -> None:
        """Raise `error` in the caller."""
        self._open.discard(self._call)
        self._call.fail(error)


class Stopping:
    """The request to stop."""

    __slots__ = ("reason",)

    def __init__(self, reason: Reason) -> None:
        self.reason = reason

    @property
    def stale(self) -> bool:
        """A stop is always meant."""
        return False

    def fail(self, exc: Exception) -> None:
        """Nobody waits for this but by watching the end."""


class System:
    """Something to do between two messages."""

    __slots__ = ("action", "future")

    def __init__(self, action: Callable[[], object], future: asyncio.Future[Any]) -> None:
        self.action = action
        self.future = future

    def run(self) -> None:
        """Do it, unless the caller waits no more."""
        if self.future.done():
            return

        try:
            result = self.action()
        except Exception as exc:
            self.future.set_exception(exc)
        else:
            self.future.set_result(result)

    @property
    def stale(self) -> bool:
        """Whether the caller waits no more."""
        return self.future.done()

    def fail(self, exc: Exception) -> None:
        """Raise `exc` in the caller."""
        if not self.future.done():
            self.future.set_exception(exc)


def handler_of(method: object) -> Handler | None:
    """Return how a method is marked."""
    return getattr(method, _MARK, None)


def as_reply(handler: Handler, exc: BaseException) -> Exception | None:
    """Return the error that is an answer to the caller; None if the actor is to die of it."""
    if isinstance(exc, Reply):
        return exc.error

    if isinstance(exc, Exception) and isinstance(exc, handler.replies):
        return exc

    return None
