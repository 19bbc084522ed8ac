"""The queue in front of an actor, without the actor."""

from __future__ import annotations

import asyncio

import pytest

from supervision import MailboxFull, Normal, Shutdown
from supervision.mailbox import Mailbox, Overflow
from supervision.messages import Handler, Request, Stopping, System
from supervision.testing import settle

HANDLER = Handler("call", is_async=False, replies=())


def request(number: int, future: asyncio.Future[object] | None = None) -> Request:
    return (print, HANDLER, (number,), future)


def mailbox(overflow: Overflow = "block") -> Mailbox:
    return Mailbox("owner", 1, overflow)


async def waiting(box: Mailbox, count: int) -> list[asyncio.Task[None]]:
    """Return so many tasks that wait for room."""
    box.put(request(0))
    loop = asyncio.get_running_loop()
    tasks = [asyncio.create_task(box.wait_room(loop)) for _ in range(count)]
    await settle()
    assert not any(task.done() for task in tasks)
    return tasks


async def test_room_goes_to_the_one_who_waited_longest() -> None:
    """Pitfall 30: each message that is taken lets one writer in, in the order they came."""
    box = mailbox()
    first, second = await waiting(box, 2)
    box.take()
    await settle()
    assert first.done()
    assert not second.done()
    box.put(request(1))
    box.take()
    await second


async def test_room_of_a_writer_who_left_goes_to_the_next() -> None:
    """Pitfall 30: to be let in and cancelled in one turn loses no room."""
    box = mailbox()
    tasks = await waiting(box, 3)
    tasks[1].cancel()
    await settle()
    assert tasks[1].cancelled()
    box.take()
    tasks[0].cancel()
    await tasks[2]
    assert tasks[0].cancelled()


async def test_close_tells_everybody() -> None:
    """Pitfall 30: writers, requests and system requests fail alike; stops have nobody to tell."""
    box = mailbox()
    loop = asyncio.get_running_loop()
    answer: asyncio.Future[object] = loop.create_future()
    asked: asyncio.Future[object] = loop.create_future()
    (writer,) = await waiting(box, 1)
    box.interrupt(System(print, asked))
    box.stop(Normal())
    box.user.append(request(1, answer))
    assert len(box) == 4
    assert "4 of 1" in repr(box)
    box.close(RuntimeError("over"))
    for each in (writer, answer, asked):
        with pytest.raises(RuntimeError, match="over"):
            await each

    assert not box


async def test_first_stop_gives_the_reason() -> None:
    """D10: a stop overtakes everything but an earlier stop."""
    box = mailbox()
    box.interrupt(System(print, asyncio.get_running_loop().create_future()))
    box.stop(Normal())
    box.stop(Shutdown())
    first = box.urgent.popleft()
    assert isinstance(first, Stopping)
    assert first.reason == Normal()


async def test_full_mailbox() -> None:
    """D10: what a full mailbox does with one more message."""
    loop = asyncio.get_running_loop()
    refusing: tuple[Overflow, ...] = ("block", "raise")
    for overflow in refusing:
        box = mailbox(overflow)
        assert box.put(request(0))
        with pytest.raises(MailboxFull):
            box.put(request(1))

    box = mailbox("drop_newest")
    assert [box.put(request(0)), box.put(request(1))] == [True, False]
    box = mailbox("drop_oldest")
    dropped: asyncio.Future[object] = loop.create_future()
    assert [box.put(request(0, dropped)), box.put(request(1))] == [True, True]
    with pytest.raises(MailboxFull):
        await dropped
