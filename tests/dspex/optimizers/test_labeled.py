"""Labelled demos: k of the trainset, by the seed, for each predictor."""

from __future__ import annotations

import pytest

from dspex.errors import OptimizerError
from dspex.optimizers.labeled import LabeledFewShot
from dspex.programs.predict import Predict
from dspex.programs.program import Program
from dspex.signatures.example import Example
from dspex.signatures.prediction import Prediction

TRAINSET = [Example(question=str(n), answer="a").with_inputs("question") for n in range(20)]
STUDENT = Predict("question -> answer")


class Pipeline(Program):
    """Two predictors."""

    def __init__(self) -> None:
        self.draft = Predict("question -> draft")
        self.polish = Predict("question, draft -> answer")

    async def forward(self, question: str) -> Prediction:
        """Answer."""
        draft = await self.draft(question=question)
        return await self.polish(question=question, draft=draft["draft"])


class TestLabeledFewShot:
    async def test_k_examples(self) -> None:
        """So many demos, all different, all of the trainset."""
        better = await LabeledFewShot(k=5).compile(STUDENT, trainset=TRAINSET)
        questions = {demo["question"] for demo in better.demos}
        assert len(better.demos) == len(questions) == 5
        assert set(better.demos) <= set(TRAINSET)
        assert STUDENT.demos == ()

    async def test_small_trainset(self) -> None:
        """Fewer examples than wanted are all taken."""
        better = await LabeledFewShot(k=50).compile(STUDENT, trainset=TRAINSET)
        assert len(better.demos) == 20

    async def test_seed_decides(self) -> None:
        """The same seed draws the same demos, another seed others."""
        one, same, other = [
            (await LabeledFewShot(k=5, seed=seed).compile(STUDENT, trainset=TRAINSET)).demos
            for seed in (1, 1, 2)
        ]
        assert one == same != other

    async def test_draws_as_the_reference_does(self) -> None:
        """One generator from seed 0 samples for one predictor after the other."""
        import random

        generator = random.Random(0)
        expected = [tuple(generator.sample(TRAINSET, 4)) for _ in range(2)]
        better = await LabeledFewShot(k=4).compile(Pipeline(), trainset=TRAINSET)
        assert [predictor.demos for predictor in better.named_predictors().values()] == expected

    async def test_earlier_demos_are_replaced(self) -> None:
        """What the student had before is gone."""
        student = STUDENT.with_demos([Example(question="old", answer="old")])
        better = await LabeledFewShot(k=1).compile(student, trainset=TRAINSET)
        assert [demo["answer"] for demo in better.demos] == ["a"]

    async def test_provenance(self) -> None:
        """The program remembers how it came about, and that it cost nothing."""
        better = await LabeledFewShot(k=5).compile(STUDENT, trainset=TRAINSET)
        assert better.provenance is not None
        assert better.provenance.calls == 0
        assert better.provenance.candidates == ({"demos": {"self": 5}},)

    @pytest.mark.parametrize("k", [-1, 1.5, True])
    def test_bad_k(self, k: int) -> None:
        """A number of demos is a whole number."""
        with pytest.raises(OptimizerError, match=f"LabeledFewShot: k is {k!r}"):
            LabeledFewShot(k=k)
