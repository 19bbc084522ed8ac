"""Registries: names that go with their owner."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from supervision import (
    Actor,
    AlreadyRegistered,
    AlreadyStarted,
    ChildSpec,
    NotFound,
    Ref,
    Registry,
    Restart,
    StartFailed,
    Supervisor,
    handle,
)
from supervision.registry import Entry
from supervision.testing import crash, settle, wait_restarted


class Doer(Actor):
    """Does what it is told, in its own name."""

    @handle.call(replies=(Exception,))
    def do(self, action: Callable[[], Any]) -> Any:
        return action()


@asynccontextmanager
async def doers(count: int, **options: Any) -> AsyncIterator[list[Ref[Doer]]]:
    """Run some actors."""
    specs = [ChildSpec(n, Doer, **options) for n in range(count)]
    async with Supervisor(specs) as root:
        await settle()
        yield [root.ref(n, Doer) for n in range(count)]


class TestUnique:
    async def test_second_owner_is_refused(self) -> None:
        """N01: a unique key has one owner, also against itself; the error tells which."""
        registry = Registry()
        async with doers(2) as (a, b):
            await a.call(Doer.do, lambda: registry.register("k", 1))
            for ref in (a, b):
                with pytest.raises(AlreadyRegistered) as error:
                    await ref.call(Doer.do, lambda: registry.register("k", 2))

                assert error.value.ref == a

            assert registry.whereis("k") == a
            assert [entry.value for entry in registry.lookup("k")] == [1]
            assert len(registry) == 1

    async def test_entries_vanish_with_their_owner(self) -> None:
        """N02: the entries of a dead owner are gone, and its keys are free at once."""
        registry = Registry()
        async with doers(2) as (a, b):
            await a.call(Doer.do, lambda: registry.register("k"))
            pid = crash(a)
            await wait_restarted(a, pid)
            assert registry.lookup("k") == []
            await b.call(Doer.do, lambda: registry.register("k"))
            assert registry.whereis("k") == b

    async def test_only_the_owner_unregisters_and_updates(self) -> None:
        """N03: entries are their owner's alone."""
        registry = Registry()
        async with doers(2) as (a, b):
            await a.call(Doer.do, lambda: registry.register("k", 1))
            await b.call(Doer.do, lambda: registry.unregister("k"))
            assert registry.whereis("k") == a
            with pytest.raises(NotFound):
                await b.call(Doer.do, lambda: registry.update_value("k", lambda v: v + 1))

            assert await a.call(Doer.do, lambda: registry.update_value("k", lambda v: v + 1)) == 2
            assert registry.keys_of(a) == {"k"}
            await a.call(Doer.do, lambda: registry.unregister("k"))
            assert registry.whereis("k") is None
            assert registry.keys_of(a) == set()

    async def test_only_children_register(self) -> None:
        """N03: whoever is no child has nothing that its entries could go with."""
        with pytest.raises(RuntimeError, match="supervised child"):
            Registry().register("k")


class TestDuplicate:
    async def test_many_owners(self) -> None:
        """N01, N05: a key with many owners, dispatched to all of them, here and now."""
        registry = Registry(keys="duplicate")
        async with doers(2) as (a, b):
            for ref in (a, a, b):
                await ref.call(Doer.do, lambda: registry.register("k", "v"))

            seen: list[list[Entry]] = []
            registry.dispatch("k", seen.append)
            registry.dispatch("other", seen.append)
            assert [[entry.ref for entry in entries] for entries in seen] == [[a, a, b]]
            await a.call(Doer.do, lambda: registry.unregister("k"))
            assert [entry.ref for entry in registry.lookup("k")] == [b]
            assert registry.select(lambda key, entry: entry.value == "w") == []

    async def test_no_names_and_no_updates(self) -> None:
        """N03, N04: names and updates need unique keys."""
        registry = Registry(keys="duplicate")
        with pytest.raises(TypeError):
            registry.via("k")

        with pytest.raises(TypeError):
            registry.update_value("k", str)

        with pytest.raises(ValueError, match="unique"):
            Registry(keys="some")  # type: ignore[arg-type]


class TestVia:
    async def test_name_is_held_while_the_child_lives(self) -> None:
        """N04, 3.2: a child named through a registry is found by its name, also after a restart."""
        registry = Registry()
        via = registry.via("cache")
        async with Supervisor([ChildSpec("it", Doer, name=via)]) as root:
            ref = root.ref("it", Doer)
            assert via.ref() == ref
            await settle()
            await wait_restarted(ref, crash(ref))
            assert via.ref() == ref
            await root.terminate_child("it")
            with pytest.raises(NotFound):
                via.ref()

    async def test_name_clash(self) -> None:
        """S08, N04: a second child of that name does not start, and is told who has it."""
        registry = Registry()
        async with Supervisor([ChildSpec("a", Doer, name=registry.via("n"))]) as root:
            with pytest.raises(AlreadyStarted) as error:
                await root.start_child(ChildSpec("b", Doer, name=registry.via("n")))

            assert error.value.ref == root.ref("a")
            assert [row.id for row in root.which_children()] == ["a"]

    async def test_failed_start_frees_the_name(self) -> None:
        """G02: when a start has failed, its name is free; five times in a row."""
        registry = Registry()

        class Broken(Doer):
            async def init(self) -> None:
                raise OSError

        async with Supervisor() as root:
            for _ in range(5):
                with pytest.raises(StartFailed):
                    await root.start_child(ChildSpec("it", Broken, name=registry.via("n")))

                assert len(registry) == 0


class TestRest:
    async def test_listeners(self) -> None:
        """N05: listeners hear of each registration and of its end."""
        registry = Registry()
        heard: list[tuple[object, ...]] = []
        silence = registry.listen(lambda *news: heard.append(news))
        async with doers(1, restart=Restart.TEMPORARY) as (a,):
            await a.call(Doer.do, lambda: registry.register("k"))
            await a.stop()
            silence()

        assert [news[:2] for news in heard] == [("register", "k"), ("unregister", "k")]

    async def test_lock(self) -> None:
        """N05: one holder per key, in order; who is cancelled while waiting is skipped."""
        registry = Registry()
        order: list[str] = []

        async def hold(name: str, key: str, seconds: float) -> None:
            async with registry.lock(key):
                order.append(f"+{name}")
                await asyncio.sleep(seconds)
                order.append(f"-{name}")
                if name == "a":
                    raise LookupError

        tasks = [asyncio.ensure_future(hold(name, "k", 1.0)) for name in "abcd"]
        other = asyncio.ensure_future(hold("x", "other", 0.5))
        await settle()
        tasks[1].cancel()
        await asyncio.gather(*tasks, other, return_exceptions=True)
        assert order == ["+a", "+x", "-x", "-a", "+c", "-c", "+d", "-d"]
        async with registry.lock("k"):
            assert "k" in repr(registry._locks)

        assert registry._locks == {}
