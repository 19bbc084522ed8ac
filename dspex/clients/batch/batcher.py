"""Gathers requests into batches, sends them off, asks after them and hands the results back.

One task does it all, one step after the other, for as long as its supervised child lives. What is
out is in the journal before it is waited for: when the child or the process is started again, a
request that is asked again finds the batch it is in.
"""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from typing import TYPE_CHECKING, Final, Never

from dspex.clients.batch.exchange import exchange, read_lines
from dspex.clients.batch.gathering import Gathering, Group
from dspex.clients.batch.journal import BatchJournal
from dspex.clients.batch.line import ended_without
from dspex.clients.batch.notes import Notes
from dspex.clients.batch.open_batch import OpenBatch, Waiter, answer
from dspex.clients.batch.sending import Sender
from dspex.effects import LIVE
from dspex.errors import ErrorData, ProtocolError, ProviderError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from dspex.clients.batch.dialect import Dialect
    from dspex.clients.batch.line import BatchLine, BatchStatus, LineResult
    from dspex.clients.batch.settings import BatchSettings
    from dspex.clients.endpoint import Endpoint

__all__ = ("Batcher", "batcher_child")

_SLOWER: Final = 1.5
_NONCE_BYTES: Final = 12
_NOT_FOUND: Final = 404


class Batcher:
    """The batches of one endpoint. Bound to one event loop; not thread-safe.

    Args:
        endpoint: through whose connections it speaks.
        dialect: how.
        settings: how to gather and how often to ask.
        journal: where it keeps what is out; None: nowhere, and a restart asks anew.
        wall_clock: seconds since the epoch, for the journal.
        entropy: random bytes, for names that no other process gives.
    """

    __slots__ = (
        "_dialect",
        "_endpoint",
        "_entropy",
        "_gathering",
        "_news",
        "_notes",
        "_open",
        "_sender",
        "_settings",
        "_where",
        "closed",
    )

    def __init__(
        self,
        endpoint: Endpoint,
        dialect: Dialect,
        settings: BatchSettings,
        journal: BatchJournal | None,
        *,
        wall_clock: Callable[[], float],
        entropy: Callable[[int], bytes],
    ) -> None:
        self._endpoint = endpoint
        self._dialect = dialect
        self._settings = settings
        self._notes = Notes(journal, endpoint.name, wall_clock)
        self._sender = Sender(endpoint, dialect)
        self._entropy = entropy
        self._gathering = Gathering(settings)
        self._open: dict[str, OpenBatch] = {}
        self._where: dict[str, OpenBatch] = {}
        self._news = asyncio.Event()
        self.closed = False

    def __repr__(self) -> str:
        gathered = sum(len(group.waiters) for group in self._gathering)
        return f"<Batcher {self._endpoint.name}, {gathered} gathered, {len(self._open)} batches>"

    async def load(self) -> None:
        """Adopt what an earlier run has left in the journal."""
        for known in await self._notes.open():
            self._adopt(OpenBatch(known.nonce, known.lines, known.batch))

    def join(self, line: BatchLine) -> Waiter:
        """Put a request into the next batch, or find the one it is in already.

        Raises:
            EndpointUnavailable: it is no longer at work; its successor will be.
        """
        if self.closed:
            raise self._endpoint.unavailable("batcher", "it was stopped")

        waiter = Waiter(line)
        batch = self._where.get(line.id)
        if batch is None:
            self._gathering.add(waiter, self._endpoint.clock())
        else:
            batch.wait(waiter)

        self._news.set()
        return waiter

    async def serve(self) -> Never:
        """Send, ask and hand back until cancelled; who waits then fails with what is retried."""
        try:
            while True:
                self._news.clear()
                await self._work()
                await self._rest()
        finally:
            self._dismiss()

    async def cancel(self) -> int:
        """Ask the provider to end every batch that is out; return how many there were."""
        running = [batch for batch in self._open.values() if batch.results is None and batch.batch]
        for batch in running:
            assert batch.batch is not None
            try:
                await exchange(self._endpoint, "POST", self._dialect.cancel_path(batch.batch))
            except ProviderError as exc:
                # One that has ended meanwhile cannot be cancelled, and need not be.
                if exc.data.status is None or exc.unavailable:
                    raise

            batch.poll_at = 0.0

        self._news.set()
        return len(running)

    async def _work(self) -> None:
        now = self._endpoint.clock()
        while (group := self._gathering.take(now)) is not None:
            await self._send(group)

        for batch in list(self._open.values()):
            if batch.wanted and (batch.results is not None or batch.poll_at <= now):
                await self._ask(batch)

    async def _rest(self) -> None:
        due = self._gathering.due_at()
        due += [batch.poll_at for batch in self._open.values() if batch.wanted]
        timer = None
        if due:
            timer = asyncio.get_running_loop().call_at(min(due), self._news.set)

        try:
            await self._news.wait()
        finally:
            if timer is not None:
                timer.cancel()

    async def _send(self, group: Group) -> None:
        group.waiters = [waiter for waiter in group.waiters if not waiter.gone]
        if not group.waiters:
            return

        lines = [waiter.line for waiter in group.waiters]
        batch = OpenBatch(self._entropy(_NONCE_BYTES).hex(), (line.id for line in lines), None)
        try:
            await self._sender.make(batch, lines, self._notes)
        except ProviderError as exc:
            group.fail(exc.data)
        except OSError as exc:
            # What cannot be noted is not sent: a restart would pay for it again.
            group.fail(self._endpoint.unavailable("batch journal", str(exc)).data)
        except BaseException:
            group.fail(self._stopped())
            raise
        else:
            self._adopt(batch)
            batch.poll_at = self._endpoint.clock() + self._settings.poll_s
            for waiter in group.waiters:
                batch.wait(waiter)

    async def _ask(self, batch: OpenBatch) -> None:
        """See how a batch is doing; when it has ended, hand its results on."""
        try:
            if batch.results is None and not await self._has_ended(batch):
                return

        except ProviderError as exc:
            if exc.data.status == _NOT_FOUND:
                await self._ask_again(batch)
            else:
                # The batch goes on without us; its callers have deadlines of their own.
                self._later(batch)

            return

        await self._hand_on(batch)

    async def _has_ended(self, batch: OpenBatch) -> bool:
        if batch.batch is None:
            batch.batch = await self._sender.find(batch.nonce)
            if batch.batch is None:
                await self._ask_again(batch)
                return False

            await self._notes.made(batch)

        path = self._dialect.status_path(batch.batch)
        status = self._dialect.status(await exchange(self._endpoint, "GET", path, retries=False))
        if not status.ended:
            self._later(batch)
            return False

        batch.end(await self._results(status), ended_without(status, provider=self._endpoint.name))
        return True

    async def _results(self, status: BatchStatus) -> list[LineResult]:
        found: list[LineResult] = []
        for path in status.results:
            async with aclosing(read_lines(self._endpoint, path)) as lines:
                async for line in lines:
                    try:
                        found.append(self._dialect.result(line, self._endpoint.name))
                    except ProtocolError:
                        # Whose it is cannot be read: that line is left without an answer.
                        continue

        return found

    async def _hand_on(self, batch: OpenBatch) -> None:
        waiting = [waiter for waiter in batch.waiters.values() if not waiter.gone]
        outcomes = [batch.take(waiter.line.id) for waiter in waiting]
        failed = [
            waiter.line.id
            for waiter, outcome in zip(waiting, outcomes, strict=True)
            if isinstance(outcome, ErrorData)
        ]
        if failed:
            # Before anybody hears of it: who asks again must not be given the same error.
            await self._notes.void(batch, failed)

        for waiter, outcome in zip(waiting, outcomes, strict=True):
            del batch.waiters[waiter.line.id]
            self._where.pop(waiter.line.id, None)
            answer(waiter, outcome)

        # Without a journal nobody will come for what is left.
        if not (self._notes.kept and batch.lines):
            self._forget(batch)

    async def _ask_again(self, batch: OpenBatch) -> None:
        """Put the requests of a batch that is not there into another."""
        await self._notes.void(batch, batch.lines)
        self._forget(batch)
        for waiter in batch.waiters.values():
            if not waiter.gone:
                self._gathering.add(waiter, self._endpoint.clock())

        self._news.set()

    def _later(self, batch: OpenBatch) -> None:
        settings = self._settings
        batch.delay_s = min(settings.max_poll_s, max(settings.poll_s, batch.delay_s * _SLOWER))
        jitter = 1.0 + 0.1 * self._endpoint.rng.random()
        batch.poll_at = self._endpoint.clock() + batch.delay_s * jitter

    def _adopt(self, batch: OpenBatch) -> None:
        self._open[batch.nonce] = batch
        for line in batch.lines:
            self._where[line] = batch

    def _forget(self, batch: OpenBatch) -> None:
        self._open.pop(batch.nonce, None)
        for line in batch.lines:
            self._where.pop(line, None)

    def _dismiss(self) -> None:
        self.closed = True
        error = self._stopped()
        for group in self._gathering:
            group.fail(error)

        for batch in self._open.values():
            for waiter in batch.waiters.values():
                answer(waiter, error)

    def _stopped(self) -> ErrorData:
        return self._endpoint.unavailable("batcher", "it was stopped").data


async def batcher_child(
    endpoint: Endpoint,
    dialect: Dialect,
    settings: BatchSettings,
    journal: Path | None,
    *,
    ready: Callable[[object], None],
) -> None:
    """Own a Batcher for as long as the child lives."""
    kept = None if journal is None else BatchJournal(journal)
    batcher = Batcher(
        endpoint, dialect, settings, kept, wall_clock=LIVE.now_s, entropy=LIVE.entropy
    )
    try:
        await batcher.load()
        ready(batcher)
        await batcher.serve()
    finally:
        if kept is not None:
            kept.close()
