"""The demo runs, gains, and says truthfully what the gain is worth."""

from __future__ import annotations

import pytest

import dspex
from dspex.errors import ErrorData, ErrorKind, to_exception
from dspex.testing.models import ScriptedModel
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


async def test_a_model_out_of_reach_ends_the_demo_with_the_reason() -> None:
    """No table of numbers that are none: the report says what the calls met."""
    options = quickstart.Options(held_out=2, concurrency=2, ceiling=False)
    refusal = ErrorData(ErrorKind.AUTH, "wrong key")
    program = dspex.Predict("text -> area").with_client(
        ScriptedModel(lambda request: to_exception(refusal))
    )
    held_out = [dspex.Example(text="x", area="y").with_inputs("text")] * 2

    with pytest.raises(SystemExit, match=r"no example could be scored[^$]*wrong key"):
        await quickstart.evaluate("zero-shot", program, held_out, options)
