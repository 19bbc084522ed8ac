"""Showing how an evaluation is getting on, at a cost that does not show.

The run counts; one timer looks at the counts, ten times a second at most. On a terminal that is a
line that redraws itself, elsewhere a plain line every few seconds, or a function of yours.
"""

from __future__ import annotations

import asyncio
import logging
import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol, TextIO, TypeAlias

from dspex.evaluation.text import duration

if TYPE_CHECKING:
    from decimal import Decimal

    from rich.console import RenderableType

__all__ = ("LineView", "Progress", "ProgressOption", "TerminalView", "Ticker", "View", "view_for")

_DUMB: Final = ("dumb", "unknown")
"""Terminals that cannot move the cursor: they get lines, as a file does."""

_log: Final = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Progress:
    """An evaluation at one moment.

    Counted are runs of examples: with several epochs, each of them. `total` is None while the
    dataset's length is unknown. `resumed` came from an earlier session. `half_width` is half the
    width of a rough 95 % interval of `score`; both are None until there is something to say.
    """

    finished: int
    in_flight: int
    total: int | None
    scored: int
    failed: int
    unavailable: int
    score: float | None
    half_width: float | None
    calls: int
    cost_usd: Decimal | None
    elapsed_s: float
    resumed: int = 0

    @property
    def rate(self) -> float:
        """Examples finished per second, in this session."""
        done = self.finished - self.resumed
        return done / self.elapsed_s if self.elapsed_s > 0 else 0.0

    @property
    def left_s(self) -> float | None:
        """Seconds to go at this rate."""
        if self.total is None or not self.rate:
            return None

        return max(0, self.total - self.finished) / self.rate

    def __str__(self) -> str:
        of = "" if self.total is None else f"/{self.total:,}"
        parts = [f"{self.finished:,}{of}", f"{self.rate:,.1f}/s", f"{self.in_flight:,} in flight"]
        if self.score is not None:
            spread = "" if self.half_width is None else f" ± {self.half_width:.3f}"
            parts.append(f"score {self.score:.3f}{spread}")

        parts += [
            f"{count:,} {name}"
            for name, count in (("failed", self.failed), ("unavailable", self.unavailable))
            if count
        ]
        if self.cost_usd:
            parts.append(f"${self.cost_usd:.4f}")

        if self.left_s is not None and self.finished != self.total:
            parts.append(f"{duration(self.left_s)} left")

        return "  ".join(parts)


ProgressOption: TypeAlias = bool | Callable[[Progress], object] | None
"""None: shown if standard error is a terminal, or in CI. True: anyway. False: never. A function."""


class View(Protocol):
    """Shows progress somewhere."""

    @property
    def interval_s(self) -> float:
        """How often it wants to be updated."""
        ...

    def update(self, progress: Progress) -> None:
        """Show this moment."""
        ...

    def close(self, progress: Progress) -> None:
        """Show the last moment and let go of the screen."""
        ...


def view_for(
    option: ProgressOption, stream: TextIO | None = None, environ: Mapping[str, str] | None = None
) -> View | None:
    """Return what `option` asks for, None for silence.

    A build server is known by `CI` in the environment: its log gets plain lines, unasked.
    """
    if callable(option):
        return _CallbackView(option)

    stream = sys.stderr if stream is None else stream
    # A process without a console has no standard error, and a daemon may have closed it.
    if option is False or stream is None or stream.closed:
        return None

    environ = os.environ if environ is None else environ
    is_terminal = stream.isatty()
    if is_terminal and environ.get("TERM") not in _DUMB:
        return TerminalView(stream)

    return LineView(stream) if option or is_terminal or environ.get("CI") else None


class LineView:
    """One plain line every few seconds, for logs."""

    interval_s = 5.0

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def update(self, progress: Progress) -> None:
        """Write a line."""
        self._stream.write(f"evaluate  {progress}\n")
        self._stream.flush()

    def close(self, progress: Progress) -> None:
        """Write the last line."""
        self.update(progress)


class TerminalView:
    """A bar and a line of figures that redraw themselves."""

    interval_s = 0.1

    def __init__(self, stream: TextIO) -> None:
        from rich.console import Console
        from rich.live import Live

        self._live = Live(
            console=Console(file=stream), auto_refresh=False, transient=True, redirect_stdout=False
        )
        self._live.start()

    def update(self, progress: Progress) -> None:
        """Redraw."""
        try:
            self._live.update(_bar(progress), refresh=True)
        except BaseException:
            self._live.stop()  # or the terminal would stay without its cursor
            raise

    def close(self, progress: Progress) -> None:
        """Take the line off the screen: the report says the rest."""
        self._live.stop()


def _bar(progress: Progress) -> RenderableType:
    from rich.progress_bar import ProgressBar
    from rich.table import Table

    row = Table.grid(padding=(0, 2))
    row.add_row(
        ProgressBar(total=progress.total, completed=progress.finished, width=24), str(progress)
    )
    return row


class _CallbackView:
    """Hands progress to a function, four times a second."""

    interval_s = 0.25

    def __init__(self, function: Callable[[Progress], object]) -> None:
        self._function = function

    def update(self, progress: Progress) -> None:
        self._function(progress)

    def close(self, progress: Progress) -> None:
        self._function(progress)


class Ticker:
    """Updates a view in its interval for the time of a block.

    A view that raises is not asked again: nothing that only shows may end what it shows.
    """

    __slots__ = ("_look", "_timer", "_view")

    def __init__(self, view: View | None, look: Callable[[], Progress]) -> None:
        self._view = view
        self._look = look
        self._timer: asyncio.TimerHandle | None = None

    def __enter__(self) -> None:
        self._arm()

    def __exit__(self, *_: object) -> None:
        if self._timer is not None:
            self._timer.cancel()

        if self._view is not None:
            self._show(self._view.close)

    def _arm(self) -> None:
        if self._view is not None:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(self._view.interval_s, self._tick)

    def _tick(self) -> None:
        if self._view is not None:
            self._show(self._view.update)

        self._arm()

    def _show(self, show: Callable[[Progress], None]) -> None:
        try:
            show(self._look())
        except Exception:
            self._view = None
            _log.warning("the view of progress failed and is left out from now on", exc_info=True)
