"""The demo runs, gains, and says truthfully what the gain is worth."""

from __future__ import annotations

import pytest

import dspex
from examples import quickstart


@pytest.mark.slow
@pytest.mark.timeout(60)
async def test_the_demo_gains_and_says_how_it_stands(capsys: pytest.CaptureFixture[str]) -> None:
    """Optimized beats zero-shot by more than the interval, and every baseline is printed."""
    options = quickstart.Options(held_out=300, concurrency=300, ceiling=False)

    result = await quickstart.run(options)

    gain = dspex.compare(result.before, result.after)
    assert gain.ci95 is not None
    assert gain.ci95[0] > 0
    assert (300, 0, 0) == (
        result.after.counts.scored,
        result.after.counts.failed,
        result.after.counts.unavailable,
    )
    ((_, predictor),) = result.optimized.named_predictors().items()
    assert 16 <= len(predictor.demos) <= 24
    shown = capsys.readouterr().out
    for words in (
        "chance",
        "majority",
        "zero-shot",
        "random labelled demos",
        "not a language model",
    ):
        assert words in shown


@pytest.mark.parametrize(
    ("better", "worse", "words"),
    [
        (3, 0, "beats each"),
        (0, 3, "did harm"),
        (1, 1, "not clearly better"),
        (0, 0, "not clearly better"),
    ],
)
def test_the_verdict_follows_the_figures(better: int, worse: int, words: str) -> None:
    """Whatever comes out, the text says that and nothing nicer."""
    assert words in quickstart.verdict(better, worse, 3)


def test_a_real_model_gets_gentler_defaults(monkeypatch: pytest.MonkeyPatch) -> None:
    """No thousand calls at once and no book-long prompt unless asked for."""
    offline = quickstart.parse([])
    monkeypatch.setenv("DSPEX_DEFAULT", "openai/some-model")
    online = quickstart.parse([])

    assert (1_000, True) == (offline.concurrency, offline.ceiling)
    assert (100, False) == (online.concurrency, online.ceiling)
