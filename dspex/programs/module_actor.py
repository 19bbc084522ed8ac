"""A program as a supervised process: its own name, mailbox and metrics."""

from __future__ import annotations

import asyncio
from dataclasses import KW_ONLY, dataclass
from typing import TYPE_CHECKING, Any, cast

from dspex.effects import scope
from dspex.errors import DatasetError, InputError
from dspex.programs.parallel import inputs_of
from dspex.usage import Usage, UsageMeter
from supervision import Actor, ReplyTo, handle
from supervision.errors import MailboxFull

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dspex.programs.program import Program
    from dspex.signatures.prediction import Prediction
    from dspex.signatures.record import Record

__all__ = ("ModuleActor", "ModuleStatistics")


_DEFERRED = cast("Prediction", None)
"""What a handler returns that answers later: nobody sees it."""


@dataclass(frozen=True, slots=True)
class ModuleStatistics:
    """What a module has done since it started, and what it has to do."""

    _: KW_ONLY
    calls: int
    succeeded: int
    failed: int
    refused: int
    in_flight: int
    mean_latency_s: float
    usage: Usage


class ModuleActor(Actor):
    """Runs calls of one program under a name, for services that want a process of it.

        spec = ChildSpec("triage", ModuleActor, args=(triage,))
        prediction = await ref.call(ModuleActor.ask, {"ticket": "..."}, timeout=30.0)

    Calls run side by side, up to `max_concurrency`; more than `max_waiting` behind them are refused
    at once. The mailbox is never blocked: metrics and `swap` answer while calls run. A call that
    fails raises in its caller and leaves the module as it is; when the module itself dies, its
    calls end with `ServerDied` and a supervisor starts the next one with the program it was given.

    Args:
        program: what is called.
        max_concurrency: calls that run at the same time.
        max_waiting: calls that wait for their turn.
    """

    def __init__(
        self, program: Program, max_concurrency: int = 100, max_waiting: int = 10_000
    ) -> None:
        if max_concurrency < 1 or max_waiting < 0:
            raise ValueError(
                "a module runs at least one call at a time and keeps 0 or more waiting, got "
                f"max_concurrency={max_concurrency!r}, max_waiting={max_waiting!r}"
            )

        self._program = program
        self._most = max_concurrency + max_waiting
        self._places = asyncio.Semaphore(max_concurrency)
        self._meter = UsageMeter()
        self._calls = self._succeeded = self._failed = self._refused = self._pending = 0
        self._total_s = 0.0

    @handle.call(replies=(InputError, MailboxFull))
    def ask(self, inputs: Mapping[str, Any] | Record) -> Prediction:
        """Return the program's prediction for named inputs; an Example gives its inputs alone.

        Raises:
            InputError: they are not named, or what the program says of them.
            MailboxFull: as many calls wait as may.
        """
        named = _named(inputs)
        if self._pending >= self._most:
            self._refused += 1
            raise MailboxFull(self.name, self._most)

        self._pending += 1
        self._calls += 1
        reply: ReplyTo[Prediction] = self.defer()
        _ = self.spawn(self._answer(self._program, named, reply))
        return _DEFERRED

    @handle.call
    def swap(self, program: Program) -> Program:
        """Put another program in the place of this one; calls under way end on the old one."""
        old, self._program = self._program, program
        return old

    @handle.call
    def measure(self) -> ModuleStatistics:
        """Return a snapshot of the metrics."""
        done = self._succeeded + self._failed
        return ModuleStatistics(
            calls=self._calls,
            succeeded=self._succeeded,
            failed=self._failed,
            refused=self._refused,
            in_flight=self._pending,
            mean_latency_s=self._total_s / done if done else 0.0,
            usage=self._meter.total,
        )

    async def _answer(
        self, program: Program, inputs: dict[str, Any], reply: ReplyTo[Prediction]
    ) -> None:
        clock = asyncio.get_running_loop().time
        try:
            async with self._places:
                if not reply.waiting:
                    return

                began = clock()
                try:
                    with scope(meter=self._meter):
                        prediction = await program(**inputs)
                except Exception as exc:
                    self._failed += 1
                    reply.fail(exc)
                else:
                    self._succeeded += 1
                    reply.reply(prediction)
                finally:
                    self._total_s += clock() - began
        finally:
            self._pending -= 1


def _named(inputs: Mapping[str, Any] | Record) -> dict[str, Any]:
    try:
        named = inputs_of(inputs)
    except (TypeError, KeyError, IndexError, DatasetError) as exc:
        raise InputError(f"the inputs are a dict of names and values, got {inputs!r}") from exc

    if unnamed := [name for name in cast("dict[object, Any]", named) if not isinstance(name, str)]:
        raise InputError(f"inputs are named by texts, got {unnamed[0]!r}")

    return named
