"""Clusters, from the examples to the report."""

from __future__ import annotations

from typing import Any

import pytest

from dspex.errors import DatasetError, EvaluationError
from dspex.evaluation.clusters import Clusters
from dspex.evaluation.comparison import compare
from dspex.evaluation.evaluator import evaluate
from dspex.evaluation.report import Report
from dspex.signatures.example import Example
from dspex.signatures.prediction import Prediction

EXAMPLES = [
    Example(
        question=str(number), document=f"d{number // 5}", worth=0.1 * (number // 5)
    ).with_inputs("question")
    for number in range(40)
]


async def program(question: str) -> Prediction:
    """Answer."""
    return Prediction(answer=question)


def graded(example: Example, prediction: Prediction) -> float:
    """Score alike within a document."""
    return float(example["worth"])


async def report(**options: Any) -> Report:
    """Evaluate it."""
    return await evaluate(program, EXAMPLES, graded, **options)


class TestClusters:
    def test_equal_keys_are_one_cluster(self) -> None:
        """By field or by function, and whatever JSON can hold."""
        by_field = Clusters("document")
        by_function = Clusters(lambda example: [example["document"], 1])
        for clusters in (by_field, by_function):
            for index, example in enumerate(EXAMPLES):
                clusters.note(index, example)

            assert len(clusters.codes) == 40
            assert len(set(clusters.codes)) == 8
            assert clusters.codes[0] == clusters.codes[4] != clusters.codes[5]

    def test_out_of_order(self) -> None:
        """What was not seen yet has no cluster."""
        clusters = Clusters("document")
        clusters.note(3, EXAMPLES[3])
        assert list(clusters.codes)[:3] == [0, 0, 0]

    def test_missing_field(self) -> None:
        """The error names the example and the field."""
        with pytest.raises(DatasetError, match=r"cluster='topic' names no cluster for item 7"):
            Clusters("topic").note(7, EXAMPLES[0])

    def test_neither_field_nor_function(self) -> None:
        """Anything else is refused before the run."""
        with pytest.raises(EvaluationError, match="cluster is 3"):
            Clusters(3)  # type: ignore[arg-type]  # on purpose


class TestReports:
    async def test_error_is_that_of_clusters(self) -> None:
        """Five questions to each of eight documents are eight observations."""
        plain, clustered = await report(), await report(cluster="document")
        assert plain.score == clustered.score
        assert (plain.clusters, clustered.clusters) == (None, 8)
        assert plain.stderr is not None
        assert clustered.stderr is not None
        assert clustered.stderr > 2 * plain.stderr
        assert "standard error over 8 clusters" in str(clustered)
        assert clustered.to_dict()["clusters"] == 8

    async def test_epochs(self) -> None:
        """Epochs of an example are within it, and it is within its cluster."""
        again = await report(cluster="document", epochs=3)
        once = await report(cluster="document")
        assert again.stderr == pytest.approx(once.stderr)

    async def test_shuffled(self) -> None:
        """Clusters follow their examples whatever the order of the run."""
        once = await report(cluster="document")
        assert (await report(cluster="document", shuffle=True)).stderr == once.stderr

    async def test_function_that_raises(self) -> None:
        """A cluster that cannot be told ends the run with the example's name."""

        def broken(example: Example) -> str:
            raise ZeroDivisionError

        with pytest.raises(DatasetError, match=r"item 0 of the dataset.*ZeroDivisionError"):
            await report(cluster=broken)

    async def test_no_cluster_at_all(self) -> None:
        """What is no key is refused before anything is called."""
        with pytest.raises(EvaluationError, match="cluster is 3"):
            await report(cluster=3)

    async def test_comparison(self) -> None:
        """A comparison takes the clusters of either report."""
        plain, clustered = await report(), await report(cluster="document")
        for pair in ((plain, clustered), (clustered, plain)):
            found = compare(*pair)
            assert found.clusters == 8
            assert "40 in both, 8 clusters" in str(found)

        assert compare(plain, plain).clusters is None
