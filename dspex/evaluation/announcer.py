"""The events of an evaluation, for whoever listens; without listeners they cost a look."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dspex.telemetry.events import EVALUATE_EXAMPLE, EVALUATE_START, EVALUATE_STOP

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dspex.effects import RuntimeHandle
    from dspex.evaluation.outcome import Outcome
    from dspex.evaluation.report import Report
    from supervision.telemetry import EventName

__all__ = ("Announcer",)


class Announcer:
    """Tells the bus of a runtime, if there is one, of a run, its examples and its end.

    Args:
        runtime: whose bus.
        about: what is said of the run as a whole, at its begin and at its end.
    """

    __slots__ = ("_about", "_bus")

    def __init__(self, runtime: RuntimeHandle | None, about: Mapping[str, object]) -> None:
        self._bus = None if runtime is None else runtime.bus
        self._about = about

    def begin(self) -> None:
        """Tell that the run begins."""
        self._emit(EVALUATE_START, {}, self._about)

    def tell(self, outcome: Outcome) -> None:
        """Tell of one outcome."""
        bus = self._bus
        if bus is None or EVALUATE_EXAMPLE not in bus.listeners:
            return

        figures = {"latency_s": outcome.latency_s, "score": outcome.score}
        about = {
            "index": outcome.index,
            "epoch": outcome.epoch,
            "status": outcome.status.value,
            "correlation_id": outcome.correlation_id,
        }
        bus.execute(EVALUATE_EXAMPLE, figures, about)

    def end(self, report: Report) -> None:
        """Tell that the run has ended, and how."""
        figures = {
            "duration_s": report.duration_s,
            "score": report.score,
            "total": report.counts.total,
        }
        self._emit(EVALUATE_STOP, figures, self._about)

    def _emit(
        self, event: EventName, figures: Mapping[str, Any], about: Mapping[str, object]
    ) -> None:
        if self._bus is not None and event in self._bus.listeners:
            self._bus.execute(event, figures, about)
