"""The API as a program uses it: names, arguments and shapes that must not change."""

from __future__ import annotations

import asyncio
from types import TracebackType
from typing import Any, Self

from supervision import (
    Actor,
    Backoff,
    ChildSpec,
    DynamicSupervisor,
    Exit,
    Normal,
    Ok,
    Reason,
    Registry,
    Restart,
    Shutdown,
    Strategy,
    Supervisor,
    TaskSupervisor,
    handle,
    run,
)


class Store:
    """Stands in for a database; notes when it is closed."""

    def __init__(self, log: list[object]) -> None:
        self._log = log
        self._rows: dict[str, bytes] = {}

    def __len__(self) -> int:
        return len(self._rows)

    async def get(self, key: str) -> bytes | None:
        await asyncio.sleep(0)
        return self._rows.get(key)

    async def put(self, key: str, value: bytes) -> None:
        await asyncio.sleep(0)
        self._rows[key] = value

    async def close(self) -> None:
        self._log.append("store closed")


class Client:
    """Stands in for a connection; notes when it is left."""

    def __init__(self, url: str, log: list[object]) -> None:
        self.url = url
        self._log = log

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._log.append(f"left {self.url}")

    async def serve_forever(self) -> None:
        await asyncio.Event().wait()


class ResponseCache(Actor):
    """Keeps its state in the instance and rebuilds it at each start."""

    def __init__(self, log: list[object]) -> None:
        self.log = log

    async def init(self) -> None:
        self.db = Store(self.log)
        self.continue_(self.warm_up)

    async def warm_up(self) -> None:
        self.log.append("warm")

    @handle.call
    async def get(self, key: str) -> bytes | None:
        return await self.db.get(key)

    @handle.call
    def size(self) -> int:
        return len(self.db)

    @handle.cast
    async def put(self, key: str, value: bytes) -> None:
        await self.db.put(key, value)

    async def terminate(self, reason: Reason) -> None:
        self.log.append(reason)
        await self.db.close()


async def provider(url: str, log: list[object], *, ready: Any) -> None:
    """Enter and leave a resource in one task."""
    async with Client(url, log) as client:
        ready(client)
        await client.serve_forever()


async def optimize(dataset: list[int]) -> None:
    """Take a moment."""
    await asyncio.sleep(1e-3 * len(dataset))


async def score(example: int) -> float:
    """Fail on zero."""
    await asyncio.sleep(0)
    return 10 / example


async def embed(doc: str) -> list[float]:
    """Return a vector."""
    return [float(len(doc))]


async def use(log: list[object]) -> None:
    """Use all of it once."""
    registry = Registry(keys="unique")
    flaky = Backoff(min=0.2, max=30, jitter=0.2, reset_after=60)
    async with Supervisor(
        [
            ChildSpec("cache", ResponseCache, args=(log,), name=registry.via("cache")),
            ChildSpec(
                "providers",
                Supervisor.child(
                    [
                        ChildSpec(
                            "gpt",
                            provider,
                            args=("https://a", log),
                            restart=Restart.TRANSIENT,
                            shutdown=2.0,
                            backoff=flaky,
                        ),
                        ChildSpec("local", provider, args=("http://b", log)),
                    ],
                    strategy=Strategy.ONE_FOR_ONE,
                    intensity=5,
                    period=30,
                ),
            ),
            ChildSpec("optimizers", DynamicSupervisor.child(max_children=8)),
            ChildSpec("tasks", TaskSupervisor.child(max_children=64)),
        ],
        strategy=Strategy.REST_FOR_ONE,
        intensity=3,
        period=5.0,
        name="root",
    ) as root:
        cache = root.ref("cache", ResponseCache)
        hit: bytes | None = await cache.call(ResponseCache.get, "k", timeout=1.0)
        cache.cast(ResponseCache.put, "k", b"v")
        assert (hit, await cache.call(ResponseCache.get, "k")) == (None, b"v")
        assert await cache.call(ResponseCache.size) == 1

        optimizer = await root.ref("optimizers").start_child(
            ChildSpec(None, optimize, args=([1],), restart=Restart.TEMPORARY, significant=False)
        )
        assert optimizer is not None
        optimizer.monitor(lambda down: log.append(("optimizer", down.reason)))
        await optimizer.wait_ended()

        tasks = root.ref("tasks", TaskSupervisor)
        results = [
            result
            async for result in tasks.async_stream(
                score,
                [0, 1, 2],
                max_concurrency=16,
                timeout=30,
                on_timeout="kill_task",
                zip_input_on_exit=True,
            )
        ]
        match results:
            case [Exit(reason, 0), Ok(10.0), Ok(5.0)]:
                assert not reason.is_normal
            case _:
                raise AssertionError(results)

        task = tasks.async_nolink(embed, "doc")
        assert await task.await_(timeout=10) == [3.0]
        assert [row.id for row in root.which_children()] == [
            "cache",
            "providers",
            "optimizers",
            "tasks",
        ]
        counts = root.count_children()
        assert (counts.specs, counts.active, counts.supervisors, counts.workers) == (4, 4, 3, 1)
        assert root.tree().splitlines()[0] == "root"

        root.telemetry.attach("log", ("supervisor", "child", "terminated"), lambda *_: None)
        await root.terminate_child("providers")
        await root.restart_child("providers")
        log.append("restarted")


def test_intended_usage() -> None:
    """The program starts in order, serves, restarts a branch, and stops in reverse order."""
    log: list[object] = []
    run(lambda: use(log))
    assert log == [
        "warm",
        ("optimizer", Normal()),
        "left http://b",
        "left https://a",
        "restarted",
        "left http://b",
        "left https://a",
        Shutdown(),
        "store closed",
    ]
