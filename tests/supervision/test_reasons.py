"""Exit reasons, and how they are told from what a process raised."""

from __future__ import annotations

import asyncio

import pytest

from supervision import Crash, Escalate, Killed, Normal, Reason, Shutdown, Stop, TimedOut
from supervision.reasons import cause_of, classify

BUG = ValueError("bug")
EXIT = SystemExit(3)
CANCEL = asyncio.CancelledError()


@pytest.mark.parametrize(
    ("exc", "stop_requested", "expected"),
    [
        (CANCEL, True, Shutdown()),
        (CANCEL, False, Killed()),
        (BUG, True, Crash(BUG)),
        (BUG, False, Crash(BUG)),
        (Stop(), False, Shutdown()),
        (Stop(Normal()), True, Normal()),
        (EXIT, False, Escalate(EXIT)),
        (EXIT, True, Escalate(EXIT)),
    ],
)
def test_classify(exc: BaseException, stop_requested: bool, expected: Reason) -> None:
    """D4, pitfall 4: only whether a stop was requested tells one cancellation from another."""
    assert classify(exc, stop_requested=stop_requested) == expected


def test_classify_groups() -> None:
    """Pitfall 16: a group is a crash, unless it is all cancellation, or somebody asked to exit."""
    cancels = BaseExceptionGroup("g", [CANCEL, BaseExceptionGroup("h", [CANCEL])])
    assert classify(cancels, stop_requested=True) == Shutdown()
    assert classify(cancels, stop_requested=False) == Crash(cancels)
    mixed = BaseExceptionGroup("g", [CANCEL, BUG])
    assert classify(mixed, stop_requested=True) == Crash(mixed)
    nested = BaseExceptionGroup("g", [BUG, BaseExceptionGroup("h", [BUG, EXIT])])
    assert classify(nested, stop_requested=True) == Escalate(EXIT)


def test_normal_reasons() -> None:
    """R01, 1.3: normal and shutdown, with any detail, are normal; all others are not."""
    reasons: list[Reason] = [
        Normal(),
        Shutdown(),
        Shutdown("x"),
        Killed(),
        Crash(BUG),
        TimedOut(1),
        Escalate(EXIT),
    ]
    assert [reason.is_normal for reason in reasons] == [True] * 3 + [False] * 4


def test_reasons_say_what_happened() -> None:
    """The text of a reason is what a log shows."""
    texts = [str(r) for r in (Normal(), Shutdown("x"), Killed(), Crash(BUG), TimedOut(2))]
    assert texts == ["normal", "shutdown: x", "killed", "ValueError: bug", "timed out after 2 s"]


def test_cause_of() -> None:
    """The exception behind a reason becomes the cause of errors about it."""
    assert cause_of(Crash(BUG)) is BUG
    assert cause_of(Shutdown(BUG)) is BUG
    assert cause_of(Shutdown("x")) is None
    assert cause_of(Killed()) is None
