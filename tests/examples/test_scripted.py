"""The scripted examples run offline, say that they are scripted, and show what they promise."""

from __future__ import annotations

import pytest

from examples import multi_hop, streaming, structured_extraction


@pytest.fixture(autouse=True)
def _offline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DSPEX_DEFAULT", raising=False)


async def test_structured_extraction(capsys: pytest.CaptureFixture[str]) -> None:
    """Typed lines, a total that agrees, and the repair that it took."""
    await structured_extraction.main()
    shown = capsys.readouterr().out
    assert "model: scripted" in shown
    assert "total 1336.50 EUR, which the lines add up to" in shown
    assert "repaired once: " in shown
    assert "2 calls" in shown


async def test_multi_hop(capsys: pytest.CaptureFixture[str]) -> None:
    """The second hop finds what the first made it look for."""
    await multi_hop.main()
    shown = capsys.readouterr().out
    assert "model: scripted" in shown
    assert "answer: Visby" in shown
    assert "predictors: ask, answer" in shown


async def test_streaming(capsys: pytest.CaptureFixture[str]) -> None:
    """Fields under their names; the monitor ends the circle and the other program answers."""
    await streaming.main()
    shown = capsys.readouterr().out
    assert "[draft.draft] A process" in shown
    assert "repeats 8 words 3 times; the other program answers" in shown
    assert "[fallback.essay] To begin afresh." in shown
