"""A message that takes the context of its sender along, instead of the actor's own."""

from __future__ import annotations

from contextvars import Context, copy_context
from typing import TYPE_CHECKING, Any

from supervision.child import CURRENT
from supervision.messages import MARK, Handler

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Generator

__all__ = ("Within",)


class Within:
    """A handler that runs in a copy of the context in which this was made.

    Stands in for the method in a message; what the handler sets is gone with the message.
    """

    __slots__ = ("__name__", "__supervision_handler__", "_context", "_method")

    def __init__(self, method: Callable[..., Any]) -> None:
        self.__name__: str = getattr(method, "__name__", repr(method))
        self.__supervision_handler__: Handler | None = getattr(method, MARK, None)
        self._method = method
        self._context = copy_context()

    def __repr__(self) -> str:
        return f"<{self.__name__} in its caller's context>"

    def __call__(self, actor: Any, /, *args: Any) -> Any:
        """Run the handler; the actor is the process in whose name it does."""
        self._context.run(CURRENT.set, actor.process)
        result = self._context.run(self._method, actor, *args)
        handler = self.__supervision_handler__
        return _Steps(self._context, result) if handler and handler.is_async else result


class _Steps:
    """Await a coroutine with each of its steps in a context other than that of the task."""

    __slots__ = ("_context", "_work")

    def __init__(self, context: Context, work: Coroutine[Any, Any, Any]) -> None:
        self._context = context
        self._work = work

    def __await__(self) -> Generator[Any, Any, Any]:
        run, work = self._context.run, self._work
        step, value = work.send, None
        while True:
            try:
                waited_for = run(step, value)
            except StopIteration as stop:
                return stop.value

            try:
                step, value = work.send, (yield waited_for)
            except GeneratorExit:
                run(work.close)
                raise
            except BaseException as exc:
                step, value = work.throw, exc
