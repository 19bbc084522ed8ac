"""Comparing two reports: what changed, how sure one may be, and what may not be compared."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from dspex.errors import ErrorData, ErrorKind, EvaluationError, to_exception
from dspex.evaluation.comparison import compare
from dspex.evaluation.evaluator import evaluate
from dspex.evaluation.metrics import exact_match
from dspex.evaluation.reducers import at_least
from dspex.evaluation.report import Report
from dspex.signatures.example import Example
from dspex.signatures.prediction import Prediction

pytestmark = pytest.mark.virtual_time

OUTAGE = to_exception(ErrorData(ErrorKind.SERVER, "down"))


def graded(example: Example, prediction: Prediction) -> float:
    """Score what the program says its answer is worth."""
    return float(prediction["worth"])


async def report(
    scores: Sequence[float | None], metric: Callable[..., Any] = graded, **options: Any
) -> Report:
    """Make a report with these scores; None is unavailable."""

    async def program(question: str) -> Prediction:
        worth = scores[int(question)]
        if worth is None:
            raise OUTAGE

        return Prediction(worth=worth, answer="yes")

    examples = [
        Example(question=str(number), answer="yes").with_inputs("question")
        for number in range(len(scores))
    ]
    return await evaluate(program, examples, metric, **options)


class TestBinary:
    async def test_figures(self) -> None:
        """Two wrong ones got right, one right one wrong, seven stayed."""
        before = await report([0, 0, 1, 1, 1, 1, 0, 0, 1, 1])
        after = await report([1, 1, 0, 1, 1, 1, 0, 0, 1, 1])
        found = compare(before, after)
        assert (found.pairs, found.missing) == (10, 0)
        assert (found.score_before, found.score_after) == pytest.approx((0.6, 0.7))
        assert found.difference == pytest.approx(0.1)
        assert (found.improved, found.worsened) == (2, 1)
        assert [(flip.index, flip.before, flip.after) for flip in found.flipped] == [
            (0, 0, 1),
            (1, 0, 1),
            (2, 1, 0),
        ]
        assert found.p_value == 1.0
        assert found.test == "McNemar, exact"
        assert not found.significant

    async def test_clear_improvement(self) -> None:
        """Ten of ten flips in one direction: p = 2 / 1024, and an interval above zero."""
        found = compare(await report([0] * 10), await report([1] * 10))
        assert found.p_value == pytest.approx(2 / 1024)
        assert found.significant
        assert found.ci95 is not None
        assert 0.3 < found.ci95[0] < 1.0 >= found.ci95[1]

    async def test_direction(self) -> None:
        """Swapped reports give the mirrored answer."""
        one, other = await report([0, 1, 1, 0, 1]), await report([1, 1, 0, 1, 1])
        there, back = compare(one, other), compare(other, one)
        assert there.difference == -back.difference
        assert there.p_value == back.p_value
        assert there.ci95 is not None
        assert back.ci95 is not None
        assert there.ci95 == pytest.approx((-back.ci95[1], -back.ci95[0]))


class TestGraded:
    async def test_permutation(self) -> None:
        """Graded scores are compared by sign flips; a seed fixes the answer."""
        before = await report([0.1 * (n % 5) for n in range(20)])
        after = await report([0.1 * (n % 5) + 0.05 for n in range(20)])
        found = compare(before, after)
        assert found.test.startswith("permutation")
        assert found.p_value < 0.001
        assert found.difference == pytest.approx(0.05)
        assert compare(before, after, seed=1).p_value == pytest.approx(found.p_value, abs=1e-3)
        assert compare(before, after) == found

    async def test_no_change_at_all(self) -> None:
        """Equal runs differ by nothing, and the interval says how much could be hidden."""
        same = await report([0.5, 0.25, 0.75])
        found = compare(same, same)
        assert (found.difference, found.p_value, found.flipped) == (0, 1.0, ())
        assert found.ci95 is not None
        assert found.ci95[0] < 0 < found.ci95[1]
        assert found.minimum_detectable is None

    async def test_unknown_range(self) -> None:
        """Scores beyond 0 and 1 have no worst case."""
        found = compare(await report([3, 4, None]), await report([4, 5, 6]))
        assert (found.worst_case, found.best_case, found.interval) == (None, None, None)
        assert found.ci95 is None
        assert "1 missing\n" in str(found)


class TestMissing:
    async def test_worst_case(self) -> None:
        """What is missing on one side is bounded by what is known of the other."""
        found = compare(await report([1, 0, 0, None]), await report([1, 1, None, 1]))
        assert (found.pairs, found.missing) == (2, 2)
        assert found.difference == 0.5
        # Example 2 changes by 0 to 1, example 3 by 0 to 1.
        assert (found.worst_case, found.best_case) == (0.25, 0.75)
        assert "2 missing" in str(found)

    async def test_unknown_on_both_sides(self) -> None:
        """What neither run knows may have changed by anything."""
        found = compare(await report([1, None]), await report([1, None]))
        assert (found.worst_case, found.best_case) == (-0.5, 0.5)

    async def test_stopped_run(self) -> None:
        """Examples that a stop left out are missing."""
        scores: list[float | None] = [1.0, None, *[1.0] * 8]
        found = compare(
            await report([1.0] * 10), await report(scores, max_errors=1, max_concurrency=1)
        )
        assert (found.pairs, found.missing) == (1, 9)

    async def test_larger_run(self) -> None:
        """Of a run over more data, the shared part is compared."""
        found = compare(await report([1, 0]), await report([1, 1, 1, 1]))
        assert (found.pairs, found.missing, found.difference) == (2, 2, 0.5)


class TestRefused:
    async def test_other_metric(self) -> None:
        """Scores of different metrics have no difference."""
        with pytest.raises(EvaluationError, match=r"different metrics.*graded.*ExactMatch"):
            compare(await report([1]), await report([1], exact_match("answer")))

    async def test_other_examples(self) -> None:
        """Reports that share no example are refused, with a guess why."""

        async def program(question: str) -> Prediction:
            return Prediction(worth=1)

        examples = [Example(question="other", answer="yes").with_inputs("question")]
        with pytest.raises(EvaluationError, match="share no example"):
            compare(await report([1]), await evaluate(program, examples, graded))

    async def test_other_worth_of_failures(self) -> None:
        """Where failures count in one report only, the scores mean different things."""
        with pytest.raises(EvaluationError, match="failures count 0 in one report and nothing"):
            compare(await report([1]), await report([1], on_error="skip"))

    async def test_nothing_counts_in_both(self) -> None:
        """Two runs whose scored examples do not meet cannot be compared."""
        with pytest.raises(EvaluationError, match="share no example"):
            compare(await report([1, None]), await report([None, 1]))


class TestText:
    async def test_table(self) -> None:
        """The comparison on a few lines, verdict included."""
        found = compare(await report([0] * 10 + [None]), await report([1] * 10 + [1]))
        assert str(found).splitlines() == [
            f"report.<locals>.program -> report.<locals>.program  by {graded.__module__}.graded",
            "  score       0.000 -> 1.000",
            "  difference  +1.000  95 % [+0.521, +1.000] (Bonett-Price)",
            "  test        p = 0.002 (McNemar, exact): better",
            "  examples    10 in both, 1 missing: over all it is +0.909 at worst, +1.000 at best",
            "  changed     10 better, 0 worse",
            "  e.g.        0: 0 -> 1, 1: 0 -> 1, 2: 0 -> 1, 3: 0 -> 1, 4: 0 -> 1",
        ]

    async def test_no_difference(self) -> None:
        """A difference that chance may have made is not called one."""
        text = str(compare(await report([0, 1, 1]), await report([1, 1, 1])))
        assert "no difference shown" in text
        assert "this size finds  differences from" in text


class TestEpochs:
    async def test_other_reduction(self) -> None:
        """A mean of epochs and a majority of them are not the same thing."""
        before, after = (
            await report([1, 0], epochs=2),
            await report([1, 0], epochs=2, reduce="mode"),
        )
        with pytest.raises(
            EvaluationError, match="mean over 2 epochs in one report and mode over 2"
        ):
            compare(before, after)

    async def test_counts_of_different_epochs(self) -> None:
        """Two of two and two of three are different demands."""
        before = await report([1, 0], epochs=2, reduce=at_least(2))
        after = await report([1, 0], epochs=3, reduce=at_least(2))
        with pytest.raises(EvaluationError, match=r"at_least\(2\) over 2 epochs"):
            compare(before, after)

    async def test_means_of_different_epochs(self) -> None:
        """A mean is a mean, however many epochs it is of."""
        found = compare(await report([1, 0]), await report([1, 0], epochs=3))
        assert found.difference == 0


class TestFiles:
    async def test_json(self, tmp_path: Path) -> None:
        """All figures as data, also in a file."""
        found = compare(await report([0, 0, 1, None]), await report([1, 1, 1, 1]))
        text = found.to_json(tmp_path / "c.json")
        assert (tmp_path / "c.json").read_text() == text
        data = json.loads(text)
        assert data == found.to_dict()
        assert data["flipped"][0][0] == 0
        assert data["missing"] == 1
        assert data["ci95"] == list(found.ci95 or ())

    async def test_page(self, tmp_path: Path) -> None:
        """The verdict, the figures and the flips, safe to open."""
        found = compare(await report([0] * 10 + [None]), await report([1] * 11))
        found.to_html(tmp_path / "c.html")
        text = (tmp_path / "c.html").read_text()
        for part in ("+1.000", "better", "McNemar", "at worst", "&lt;locals&gt;", "#9"):
            assert part in text, part

    async def test_page_without_a_range(self, tmp_path: Path) -> None:
        """Scores beyond 0 and 1, no interval, no flips: a page all the same."""
        for before, after in (([3, 4, None], [4, 5, 6]), ([0.5, 0.5], [0.5, 0.5])):
            compare(await report(before), await report(after)).to_html(tmp_path / "c.html")
            assert "</html>" in (tmp_path / "c.html").read_text()
