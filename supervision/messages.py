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
    "MARK",
    "Handler",
    "Kind",
    "Limit",
    "Reply",
    "ReplyTo",
    "Request",
    "Stopping",
    "System",
    "as_reply",
    "fail",
    "handle",
    "handler_of",
)

F = TypeVar("F", bound=Callable[..., Any])
R = TypeVar("R")

MARK: Final = "__supervision_handler__"
"""The attribute of a method that holds its Handler."""

Kind: TypeAlias = Literal["call", "cast", "info"]


class Handler:
    """What is known of a handler; looked at for each message, so with plain slots."""

    __slots__ = ("is_async", "is_inline", "kind", "replies")

    def __init__(self, kind: Kind, *, is_async: bool, replies: tuple[type[Exception], ...]) -> None:
        self.kind = kind
        self.is_async = is_async
        self.is_inline = kind == "call" and not is_async
        self.replies = replies


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
    setattr(function, MARK, handler)
    return function


Request: TypeAlias = (
    "tuple[Callable[..., Any], Handler, tuple[Any, ...], asyncio.Future[Any] | None]"
)
"""What to do, how its method is marked, with what, and where the answer goes.

A plain tuple, for there is one per message and nothing is cheaper to make. A cast has no future;
nor has a call that is answered inline.
"""


def _nothing(_: object) -> None:
    """Stand where a method is expected that nobody calls."""


INLINE: Final[Request] = (_nothing, Handler("call", is_async=False, replies=()), (), None)
"""Stands for any call that is answered inline."""


class Limit(Entry):
    """The time limit of whoever waits for an answer."""

    __slots__ = ("future", "target", "timeout")

    def __init__(self, future: asyncio.Future[Any], target: object, timeout: float) -> None:
        self.future = future
        self.target = target
        self.timeout = timeout

    def fire(self) -> None:
        """Take too long."""
        fail(self.future, CallTimeout(self.target, self.timeout))


class ReplyTo(Generic[R]):
    """The right to answer a call later, from anywhere; what `Actor.defer` returns."""

    __slots__ = ("_future", "_open")

    def __init__(self, future: asyncio.Future[Any], open_calls: set[asyncio.Future[Any]]) -> None:
        self._future = future
        self._open = open_calls
        open_calls.add(future)

    @property
    def waiting(self) -> bool:
        """Whether anybody still waits for the answer."""
        return not self._future.done()

    def reply(self, value: R) -> None:
        """Answer; no effect if the caller waits no more."""
        self._open.discard(self._future)
        if not self._future.done():
            self._future.set_result(value)

    def fail(self, error: Exception) -> None:
        """Raise `error` in the caller."""
        self._open.discard(self._future)
        fail(self._future, error)


class Stopping:
    """The request to stop."""

    __slots__ = ("reason",)

    def __init__(self, reason: Reason) -> None:
        self.reason = reason


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


def handler_of(method: object) -> Handler | None:
    """Return how a method is marked."""
    return getattr(method, MARK, None)


def fail(future: asyncio.Future[Any] | None, exc: Exception) -> None:
    """Raise `exc` in whoever waits for `future`, if somebody still does."""
    if future is not None and not future.done():
        future.set_exception(exc)


def as_reply(handler: Handler, exc: BaseException) -> Exception | None:
    """Return the error that is an answer to the caller; None if the actor is to die of it."""
    if isinstance(exc, Reply):
        return exc.error

    if isinstance(exc, Exception) and isinstance(exc, handler.replies):
        return exc

    return None
