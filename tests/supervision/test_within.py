"""Messages that take their caller's context variables along."""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from supervision import Actor, CallingSelf, ChildSpec, Crash, Ref, ServerDied, Supervisor, handle
from supervision.testing import settle
from supervision.within import Within

VAR: contextvars.ContextVar[str] = contextvars.ContextVar("var", default="base")


class Reader(Actor):
    """Tells what it sees."""

    def __init__(self) -> None:
        self.seen: list[str] = []

    @handle.call
    def read(self) -> str:
        """Read in one go, and try to leave something behind."""
        seen = VAR.get()
        VAR.set("left behind")
        return seen

    @handle.call
    async def read_slowly(self) -> list[str]:
        """Read before and after a wait."""
        before = VAR.get()
        VAR.set("changed")
        await asyncio.sleep(0.01)
        return [before, VAR.get()]

    @handle.cast
    async def note(self) -> None:
        """Keep what is seen."""
        self.seen.append(VAR.get())

    @handle.call
    async def notes(self) -> list[str]:
        """Return what was kept."""
        return self.seen

    @handle.call(replies=(LookupError,))
    async def fail(self) -> None:
        """Answer with an error after a wait."""
        try:
            await asyncio.wait_for(asyncio.Event().wait(), 0.01)
        except TimeoutError as exc:
            raise LookupError(VAR.get()) from exc

    @handle.call
    async def call_itself(self, own: Ref[Reader]) -> str:
        """Wait for oneself."""
        return await own.call(Reader.read, propagate=True)


@asynccontextmanager
async def reader() -> AsyncIterator[Ref[Reader]]:
    async with Supervisor([ChildSpec("it", Reader)]) as root:
        await settle()
        yield root.ref("it", Reader)


async def test_handler_sees_the_context_of_its_caller() -> None:
    """Pitfall 17: with `propagate` a handler sees the caller's variables, else the actor's."""
    async with reader() as ref:
        VAR.set("caller")
        assert await ref.call(Reader.read, propagate=True) == "caller"
        assert VAR.get() == "caller"
        assert await ref.call(Reader.read) == "base"


async def test_each_step_of_a_handler_runs_in_it() -> None:
    """Pitfall 17: a handler that waits keeps the caller's variables, and its own changes."""
    async with reader() as ref:
        VAR.set("caller")
        assert await ref.call(Reader.read_slowly, propagate=True) == ["caller", "changed"]
        assert await ref.call(Reader.read_slowly) == ["base", "changed"]
        assert VAR.get() == "caller"


async def test_cast_takes_the_context_of_its_sending() -> None:
    """Pitfall 17: what counts is the context when the message was sent."""
    async with reader() as ref:
        VAR.set("then")
        ref.cast(Reader.note, propagate=True)
        VAR.set("now")
        ref.cast(Reader.note)
        assert await ref.call(Reader.notes) == ["then", "base"]


async def test_errors_pass_through_the_steps() -> None:
    """Pitfall 17: what is raised into a waiting handler arrives, and so does what it raises."""
    async with reader() as ref:
        VAR.set("caller")
        with pytest.raises(LookupError, match="caller"):
            await ref.call(Reader.fail, propagate=True)


async def test_the_process_is_still_the_actor() -> None:
    """Pitfall 25: a handler in a foreign context is the actor all the same."""
    async with reader() as ref:
        with pytest.raises(ServerDied) as caught:
            await ref.call(Reader.call_itself, ref, propagate=True)

        assert isinstance(caught.value.reason, Crash)
        assert isinstance(caught.value.reason.exc, CallingSelf)


async def test_stop_ends_a_handler_within() -> None:
    """Pitfall 17: an actor that is stopped ends a handler in a foreign context too."""
    async with reader() as ref:
        call = asyncio.ensure_future(ref.call(Reader.fail, propagate=True))
        await settle()

    with pytest.raises(ServerDied, match="shutdown"):
        await call


def test_it_is_named_after_its_method() -> None:
    """Reports name the method, not what stands in for it."""
    within = Within(Reader.read)
    assert within.__name__ == "read"
    assert repr(within) == "<read in its caller's context>"


async def test_steps_are_closed_with_their_task() -> None:
    """A handler whose await is dropped is closed in its own context."""
    closed: list[str] = []

    class Waiting(Actor):
        @handle.call
        async def wait(self) -> None:
            try:
                await asyncio.Event().wait()
            finally:
                closed.append(VAR.get())

    VAR.set("caller")
    steps = Within(Waiting.wait)(Waiting()).__await__()
    VAR.set("other")
    next(steps)
    steps.close()
    assert closed == ["caller"]
