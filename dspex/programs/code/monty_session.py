"""One session of Monty: a piece of code driven from one call of a host function to the next."""

from __future__ import annotations

import re
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any, Final, Self, cast

from dspex.errors import InterpreterError
from dspex.programs.code.interpreter import CodeOutcome, SubmitError, plain_value
from dspex.programs.sampling import run_all

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from types import TracebackType

    from pydantic_monty import (
        AsyncMontySession,
        AsyncSnapshot,
        CollectString,
        ExternalSettledResult,
    )

    from dspex.programs.code.interpreter import HostFunction

__all__ = ("MontySession",)

_AT_ONCE: Final = 16
_GATHERS: Final = re.compile(r"\b(gather|create_task|TaskGroup|as_completed|wait_for)\s*\(")
_BROKEN: Final = ("TimeoutError", "MemoryError", "RecursionError")
"""After these the heap may be in any state, says Monty: the session begins anew."""


class MontySession:
    """Runs pieces of code one after another, with the variables of those before.

    A host function that is awaited gives a future and all that are gathered run at the same time;
    one that is simply called is waited for, since that is how models write calls of tools.
    """

    def __init__(
        self,
        checkout: Callable[[], AsyncMontySession],
        functions: Mapping[str, HostFunction],
        *,
        max_output_chars: int,
    ) -> None:
        self._checkout = checkout
        self._functions = functions
        self._max_output = max_output_chars
        self._stack = AsyncExitStack()
        self._session: AsyncMontySession | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._discard()

    async def run(self, code: str, variables: Mapping[str, Any] | None = None) -> CodeOutcome:
        """Run a piece of code; see `CodeSession.run`."""
        from pydantic_monty import CollectString, MontyCrashedError, MontyError

        # Printed text is counted in bytes there; ours is cut to size when it is shown.
        printed = CollectString(max_bytes=self._max_output * 4)
        try:
            session = await self._opened()
            value = await self._driven(session, code, dict(variables or {}), printed)
        except MontyCrashedError as exc:
            await self._discard()
            problem = f"the interpreter was killed: {exc}"
            return CodeOutcome(self._cut(printed), error=problem, lost=True)
        except MontyError as exc:
            broken = type(exc.exception()).__name__ in _BROKEN and "limit" in str(exc)
            if broken:
                await self._discard()

            return CodeOutcome(self._cut(printed), error=_told(exc), lost=broken)
        except SubmitError:
            return CodeOutcome(self._cut(printed))
        except RecursionError:
            await self._discard()
            problem = "RecursionError: the value of the last line is nested too deeply"
            return CodeOutcome(self._cut(printed), error=problem, lost=True)
        except BaseException:
            # Cancelled, or a host function that ends the program: the code stands still midway.
            await self._discard()
            raise

        return CodeOutcome(self._cut(printed), plain_value(value))

    async def _opened(self) -> AsyncMontySession:
        if self._session is None:
            try:
                self._session = await self._stack.enter_async_context(self._checkout())
            except TimeoutError as exc:
                raise InterpreterError(
                    "no worker process became free in time: give MontyInterpreter more "
                    "`max_processes`, or run fewer calls at once"
                ) from exc

        return self._session

    async def _discard(self) -> None:
        stack, self._stack, self._session = self._stack, AsyncExitStack(), None
        await stack.aclose()

    async def _driven(
        self, session: AsyncMontySession, code: str, inputs: dict[str, Any], printed: CollectString
    ) -> Any:
        from pydantic_monty import AsyncFunctionSnapshot, AsyncFutureSnapshot, MontyComplete

        gathers = _GATHERS.search(code) is not None
        waiting: dict[int, tuple[str, tuple[Any, ...], dict[str, Any]]] = {}
        submitted: list[SubmitError] = []
        snapshot: AsyncSnapshot = await session.feed_start(
            code,
            inputs=inputs,
            external_lookup=dict.fromkeys(self._functions, _placeholder),
            print_callback=cast("Any", printed),
        )
        while not isinstance(snapshot, MontyComplete):
            if isinstance(snapshot, AsyncFutureSnapshot):
                ids = snapshot.pending_call_ids
                calls = [waiting.pop(number) for number in ids]
                settled = await self._settled(calls, submitted)
                snapshot = await snapshot.resume(dict(zip(ids, settled, strict=True)))
            elif isinstance(snapshot, AsyncFunctionSnapshot) and not snapshot.is_os_function:
                call = (str(snapshot.function_name), snapshot.args, snapshot.kwargs)
                if snapshot.allow_eager_await or gathers:
                    waiting[snapshot.call_id] = call
                    snapshot = await snapshot.resume({"future": ...})
                else:
                    (result,) = await self._settled([call], submitted)
                    snapshot = await snapshot.resume(result)
            else:
                snapshot = await snapshot.resume_auto()

            if submitted:
                await self._discard()
                raise submitted[0]

        return snapshot.output

    async def _settled(
        self,
        calls: list[tuple[str, tuple[Any, ...], dict[str, Any]]],
        submitted: list[SubmitError],
    ) -> list[ExternalSettledResult]:
        async def one(call: tuple[str, tuple[Any, ...], dict[str, Any]]) -> ExternalSettledResult:
            name, args, kwargs = call
            if name not in self._functions:
                return {"exc_type": "NameError", "message": f"name {name!r} is not defined"}

            try:
                named = {key: plain_value(value) for key, value in kwargs.items()}
                given = await self._functions[name](*map(plain_value, args), **named)
            except SubmitError as exc:
                submitted.append(exc)
                return {"exc_type": "SystemExit", "message": "submitted"}
            except Exception as exc:
                return {"exc_type": "RuntimeError", "message": f"{name}: {exc}"}

            return {"return_value": given}

        if len(calls) == 1:
            return [await one(calls[0])]

        return await run_all(one, calls, name="calls", max_concurrency=_AT_ONCE)

    def _cut(self, printed: CollectString) -> str:
        text = printed.output
        if len(text) <= self._max_output:
            return text

        return f"{text[: self._max_output]}\n... (the rest of the output was cut off)"


def _placeholder(*args: Any, **kwargs: Any) -> None:
    """Stand for a host function, whose calls are answered one by one."""


def _told(exc: Any) -> str:
    """Return an error of the code with its traceback, as far as there is one."""
    display = getattr(exc, "display", None)
    text = display() if callable(display) else str(exc)
    return str(text).strip()
