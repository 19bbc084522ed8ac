"""Looking at a tree: its shape, its history; and links."""

from __future__ import annotations

import asyncio

from supervision import (
    ChildSpec,
    Crash,
    Down,
    DynamicSupervisor,
    Normal,
    Restart,
    Supervisor,
    histories,
    link,
    mermaid,
)
from supervision.testing import crash, settle, wait_restarted


async def forever() -> None:
    """Wait for the end."""
    await asyncio.Event().wait()


def tree() -> Supervisor:
    """Return a small tree."""
    mid = Supervisor.child([ChildSpec("leaf", forever), ChildSpec('q"', forever)])
    specs = [ChildSpec("mid", mid), ChildSpec("dyn", DynamicSupervisor.child())]
    return Supervisor(specs, name="root")


async def test_drawing() -> None:
    """`tree()` shows each child with its pid, its state and its generation."""
    async with tree() as root:
        leaf = root.ref("mid").ref("leaf")
        await settle()
        await wait_restarted(leaf, crash(leaf))
        await root.terminate_child("dyn")
        assert root.tree().splitlines() == [
            "root",
            "├── mid #2 (running)",
            f"│   ├── leaf #{leaf.pid} (running, generation 2)",
            '│   └── q" #4 (running)',
            "└── dyn (undefined)",
        ]


async def test_mermaid() -> None:
    """The same as a flowchart."""
    async with tree() as root:
        assert mermaid(root).splitlines() == [
            "flowchart TD",
            '    root["root"]',
            '    root --> n0["mid #2 (running)"]',
            '    n0 --> n1["leaf #3 (running)"]',
            '    n0 --> n2["q#quot; #4 (running)"]',
            '    root --> n3["dyn #5 (running)"]',
        ]


async def test_history() -> None:
    """The last endings of each child are kept, as text, by path."""
    async with tree() as root:
        leaf = root.ref("mid").ref("leaf")
        await settle()
        pid = leaf.pid
        await wait_restarted(leaf, crash(leaf, ValueError("bug")))
        found = histories(root)
        assert list(found) == ["root/mid/leaf"]
        (ending,) = found["root/mid/leaf"]
        assert (ending.pid, ending.generation, ending.reason) == (pid, 1, "ValueError: bug")


class TestLink:
    async def test_crash_takes_the_other(self) -> None:
        """O02: a linked child ends with the other's reason, both ways, and only once."""
        for first, second in (("a", "b"), ("b", "a")):
            specs = [ChildSpec(n, forever, restart=Restart.TEMPORARY) for n in "ab"]
            async with Supervisor(specs) as root:
                await settle()
                downs: list[Down] = []
                link(root.ref("a"), root.ref("b"))
                root.ref(second).monitor(downs.append)
                bug = ValueError("bug")
                crash(root.ref(first), bug)
                await settle()
                assert [down.reason for down in downs] == [Crash(bug)]

    async def test_normal_end_and_unlink(self) -> None:
        """O02: a normal end takes nobody along, and neither does anything after unlink."""
        done = asyncio.Event()

        async def short() -> None:
            await done.wait()

        specs = [
            ChildSpec("short", short, restart=Restart.TEMPORARY),
            ChildSpec("crash", forever, restart=Restart.TEMPORARY),
            ChildSpec("it", forever),
        ]
        async with Supervisor(specs) as root:
            await settle()
            it = root.ref("it")
            downs: list[Down] = []
            root.ref("short").monitor(downs.append)
            link(root.ref("short"), it)
            bond = link(root.ref("crash"), it)
            bond.unlink()
            bond.unlink()
            done.set()
            crash(root.ref("crash"))
            await settle()
            assert [down.reason for down in downs] == [Normal()]
            assert it.slot.generation == 1
