"""Progress is shown where it helps, seldom enough, and never at the run's expense."""

from __future__ import annotations

import asyncio
import io
import logging
from decimal import Decimal
from typing import Any

import pytest

from dspex.evaluation.evaluator import evaluate
from dspex.evaluation.metrics import exact_match
from dspex.evaluation.progress import LineView, Progress, TerminalView, Ticker, view_for
from dspex.signatures.example import Example
from dspex.signatures.prediction import Prediction

pytestmark = pytest.mark.virtual_time


def progress(**changes: Any) -> Progress:
    """Return a moment in the middle of a run."""
    fields: dict[str, Any] = {
        "finished": 120,
        "in_flight": 50,
        "total": 1_000,
        "scored": 110,
        "failed": 8,
        "unavailable": 2,
        "score": 0.75,
        "half_width": 0.05,
        "calls": 130,
        "cost_usd": Decimal("0.25"),
        "elapsed_s": 60.0,
    }
    return Progress(**{**fields, **changes})


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        """Say yes."""
        return True


class TestProgress:
    def test_text(self) -> None:
        """One line with all that matters."""
        assert str(progress()) == (
            "120/1,000  2.0/s  50 in flight  score 0.750 ± 0.050  8 failed  2 unavailable  "
            "$0.2500  7 min 20 s left"
        )

    def test_rate_is_this_session_s(self) -> None:
        """What an earlier session did makes this one no faster."""
        assert progress(resumed=60).rate == 1.0
        assert progress(resumed=120).left_s is None

    def test_at_the_start(self) -> None:
        """Before anything is known, nothing is claimed."""
        start = progress(
            finished=0,
            total=None,
            failed=0,
            unavailable=0,
            score=None,
            half_width=None,
            cost_usd=None,
            elapsed_s=0.0,
        )
        assert str(start) == "0  0.0/s  50 in flight"
        assert start.left_s is None


class TestViewFor:
    @pytest.mark.parametrize(
        ("option", "stream", "kind"),
        [
            (None, io.StringIO(), type(None)),
            (None, Terminal(), TerminalView),
            (True, io.StringIO(), LineView),
            (True, Terminal(), TerminalView),
            (False, Terminal(), type(None)),
        ],
    )
    def test_by_option_and_stream(self, option: bool | None, stream: Any, kind: type) -> None:
        """On a terminal by itself, elsewhere on request."""
        view = view_for(option, stream, {})
        assert type(view) is kind
        if view is not None:
            view.close(progress())

    @pytest.mark.parametrize(
        ("option", "environ", "kind"),
        [
            (None, {"CI": "true"}, LineView),
            (None, {"CI": ""}, type(None)),
            (False, {"CI": "true"}, type(None)),
        ],
    )
    def test_in_ci(self, option: bool | None, environ: dict[str, str], kind: type) -> None:
        """A build's log shows that it gets on, unless it is told to be silent."""
        assert type(view_for(option, io.StringIO(), environ)) is kind

    def test_terminal_without_a_cursor(self) -> None:
        """It gets plain lines, unasked."""
        view = view_for(None, Terminal(), {"TERM": "dumb"})
        assert isinstance(view, LineView)

    def test_closed_standard_error(self) -> None:
        """A daemon's evaluation runs without being shown."""
        stream = io.StringIO()
        stream.close()
        assert view_for(None, stream) is None
        assert view_for(True, stream) is None

    def test_no_standard_error(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """A process without a console is silent."""
        monkeypatch.setattr("sys.stderr", None)
        assert view_for(True) is None


class TestViews:
    def test_lines(self) -> None:
        """In a log each update is a line."""
        stream = io.StringIO()
        view = LineView(stream)
        view.update(progress())
        view.close(progress(finished=1_000))
        assert stream.getvalue().splitlines() == [
            f"evaluate  {progress()}",
            f"evaluate  {progress(finished=1_000)}",
        ]

    def test_terminal(self) -> None:
        """On a terminal the figures are drawn, and gone at the end."""
        stream = Terminal()
        view = TerminalView(stream)
        view.update(progress())
        assert "120/1,000" in stream.getvalue()
        view.close(progress())


def test_terminal_that_fails_gets_its_cursor_back() -> None:
    """The view lets go of the screen before it is left out."""
    stream = Terminal()
    view = view_for(None, stream, {})
    assert isinstance(view, TerminalView)
    with pytest.raises(AttributeError):
        view.update(object())  # type: ignore[arg-type]  # what cannot be drawn

    shown, hidden = (stream.getvalue().rfind(f"\x1b[?25{sign}") for sign in "hl")
    assert shown > hidden >= 0


class Recorder:
    """A view that remembers; may fail."""

    interval_s = 0.1

    def __init__(self, *, fail: bool = False) -> None:
        self.updates: list[float] = []
        self.closed = 0
        self.fail = fail

    def update(self, progress: Progress) -> None:
        """Note the time."""
        self.updates.append(asyncio.get_running_loop().time())
        if self.fail:
            raise OSError("terminal gone")

    def close(self, progress: Progress) -> None:
        """Note it."""
        self.closed += 1


class TestTicker:
    async def test_in_its_interval(self) -> None:
        """Ten updates a second, then the last one."""
        view = Recorder()
        with Ticker(view, progress):
            await asyncio.sleep(1.05)

        assert view.updates == pytest.approx([0.1 * number for number in range(1, 11)])
        assert view.closed == 1
        await asyncio.sleep(1)
        assert len(view.updates) == 10

    async def test_failing_view_is_left_out(self, caplog: pytest.LogCaptureFixture) -> None:
        """A terminal that breaks is not asked again, and the block goes on."""
        view = Recorder(fail=True)
        with caplog.at_level(logging.WARNING), Ticker(view, progress):
            await asyncio.sleep(1)

        assert (len(view.updates), view.closed) == (1, 0)
        assert "the view of progress failed" in caplog.text

    async def test_silence(self) -> None:
        """Without a view there is no timer."""

        def look() -> Progress:
            raise AssertionError("looked")

        with Ticker(None, look):
            await asyncio.sleep(1)


class TestInARun:
    async def test_callback(self) -> None:
        """A function sees the run from its start to its last example."""
        seen: list[Progress] = []

        async def program(question: str) -> Prediction:
            await asyncio.sleep(1)
            return Prediction(answer="yes")

        examples = [
            Example(question=str(number), answer="yes").with_inputs("question")
            for number in range(10)
        ]
        await evaluate(
            program, examples, exact_match("answer"), max_concurrency=2, progress=seen.append
        )
        assert [moment.finished for moment in seen] == sorted(moment.finished for moment in seen)
        assert seen[0].in_flight == 2
        last = seen[-1]
        assert (last.finished, last.total, last.in_flight, last.score) == (10, 10, 0, 1.0)
        assert len(seen) <= 25

    async def test_callback_that_raises(self, caplog: pytest.LogCaptureFixture) -> None:
        """What only shows cannot end what it shows."""

        async def program(question: str) -> Prediction:
            await asyncio.sleep(1)
            return Prediction(answer="yes")

        def callback(_: Progress) -> None:
            raise ValueError("broken")

        examples = [Example(question="?", answer="yes").with_inputs("question")]
        report = await evaluate(program, examples, exact_match("answer"), progress=callback)
        assert report.score == 1.0
        assert "broken" in caplog.text
