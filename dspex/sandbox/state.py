"""The one mutable thing of a sandbox application."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from dspex.sandbox.batches import BatchStore
from dspex.sandbox.ledger import Ledger
from dspex.sandbox.limits import RateWindow, admit
from dspex.sandbox.script import Plan
from dspex.sandbox.wires import Allowance

if TYPE_CHECKING:
    from collections.abc import Callable

    from dspex.sandbox.model import SandboxModel
    from dspex.sandbox.script import Script

__all__ = ("State",)


@dataclass(slots=True)
class State:
    """What a server knows and remembers.

    `clock` gives seconds for the rate limit and for batches (None: the loop's time), `wall_clock`
    seconds since 1970 for headers that name a date.
    """

    model: SandboxModel
    model_seed: int
    clock: Callable[[], float] | None
    wall_clock: Callable[[], float]
    script: Script
    refuse: Callable[[float, bool], None] | None = None
    number: int = 0
    batch_number: int = 0
    window: RateWindow = field(default_factory=RateWindow)
    ledger: Ledger = field(default_factory=Ledger)
    batches: BatchStore = field(default_factory=BatchStore)
    resumed: asyncio.Event | None = None
    """Given while the server is paused; set when it goes on."""

    def install(self, script: Script) -> None:
        """Start `script` from its first request."""
        self.script = script
        self.number = self.batch_number = 0
        self.window = RateWindow()

    def now_s(self) -> float:
        """Return the time of the rate limit and of batches."""
        return asyncio.get_running_loop().time() if self.clock is None else self.clock()

    def plan(self) -> Plan:
        """Return what the next request meets under the current script."""
        number = self.number
        self.number += 1
        return self.script.plan(number)

    def batch_plan(self) -> Plan:
        """Return what the next request of a batch route meets."""
        number, opening = self.batch_number, self.script.batch.opening
        self.batch_number += 1
        name = opening[number] if number < len(opening) else "ok"
        return Plan(0.0, None if name == "ok" else name)

    def over_limit_s(self, tokens: int) -> float:
        """Count a request against the rate limit; return 0, or the seconds it has to wait."""
        if (limit := self.script.rate_limit) is None:
            return 0.0

        self.window, wait_s = admit(limit, self.window, self.now_s(), tokens)
        return wait_s

    def allowance(self) -> Allowance | None:
        """Return what the rate limit still admits, or None when there is no limit."""
        limit, window = self.script.rate_limit, self.window
        if limit is None:
            return None

        return Allowance(
            requests=limit.requests,
            requests_left=max(0, (limit.requests or 0) - window.admitted),
            tokens=limit.tokens,
            tokens_left=max(0, (limit.tokens or 0) - window.tokens),
            reset_s=max(0.0, window.opened_at_s + limit.window_s - self.now_s()),
            now_s=self.wall_clock(),
        )

    def pause(self) -> None:
        """Answer nothing until `resume`."""
        if self.resumed is None:
            self.resumed = asyncio.Event()

    def resume(self) -> None:
        """Answer what has come meanwhile, and go on."""
        if self.resumed is not None:
            self.resumed.set()
            self.resumed = None
