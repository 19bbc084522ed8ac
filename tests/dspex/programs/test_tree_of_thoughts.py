"""TreeOfThoughts: breadth by depth, judged, pruned, answered from the best path."""

from __future__ import annotations

import re
from typing import Any

import pytest

from dspex.errors import ParseError
from dspex.messages import Request
from dspex.programs.tree_of_thoughts import TreeOfThoughts
from dspex.testing.models import ScriptedModel


class Thinker:
    """Thinks "a", "b", "c" by sample number, and judges a path by its letters."""

    def __init__(self, worth: dict[str, float]) -> None:
        self.worth = worth
        self.judged: list[str] = []

    def __call__(self, request: Request) -> Any:
        system, asked = request.messages[0].text, request.messages[-1].text
        path = re.sub(r"[^abc]", "", _section(asked, "thoughts"))
        if "Do not answer yet" in system:
            return {"thought": "abc"[request.sample % 3]}

        if "Do not answer" in system:
            self.judged.append(path)
            return {"score": sum(self.worth[letter] for letter in path)}

        return {"answer": path}


def _section(text: str, name: str) -> str:
    found = re.search(rf"\[\[ ## {name} ## \]\](.*?)(\n\n|$)", text, re.S)
    assert found is not None
    return found[1]


def tree(thinker: Any, **settings: Any) -> tuple[TreeOfThoughts, ScriptedModel]:
    model = ScriptedModel(thinker, latency_s=0.001)
    return TreeOfThoughts("question -> answer", client=model, **settings), model


class TestTreeOfThoughts:
    async def test_the_best_path_answers(self) -> None:
        """At each level the judge's favourite goes on; the prediction shows its steps."""
        program, model = tree(Thinker({"a": 1, "b": 3, "c": 2}))
        prediction = await program(question="?")
        assert prediction.answer == "bb"
        assert prediction.thoughts == ("b", "b")
        assert prediction.thought_score == 6.0
        assert model.calls == 3 * 2 * 2 + 1

    async def test_a_step_that_cannot_be_read_is_pruned(self) -> None:
        """The others go on; where there are no others the error is raised."""
        thinker = Thinker({"a": 1, "b": 3, "c": 2})

        def mumbling(request: Request) -> Any:
            unclear = "Do not answer yet" in request.messages[0].text and request.sample == 1
            return "hm" if unclear else thinker(request)

        program, _ = tree(mumbling)
        assert (await program(question="?")).answer == "cc"
        program, _ = tree(lambda _: "hm")
        with pytest.raises(ParseError, match="thought"):
            await program(question="?")

    async def test_expansion_is_parallel(self) -> None:
        """All steps of a level are thought of at the same time."""
        program, model = tree(Thinker({"a": 1, "b": 3, "c": 2}), breadth=3, depth=1)
        await program(question="?")
        assert model.max_in_flight == 3

    async def test_more_paths_may_survive(self) -> None:
        """With `keep` the beam is wider, and only kept paths are grown."""
        thinker = Thinker({"a": 1, "b": 3, "c": 2})
        program, _ = tree(thinker, keep=2)
        await program(question="?")
        assert {path[0] for path in thinker.judged if len(path) == 2} == {"b", "c"}

    async def test_equal_thoughts_count_once(self) -> None:
        """A beam of copies of one path would be no beam."""

        def same(request: Request) -> Any:
            thinking = "Do not answer yet" in request.messages[0].text
            judging = "Do not answer" in request.messages[0].text
            if thinking:
                return {"thought": "same"}

            return {"score": 5} if judging else {"answer": "x"}

        program, model = tree(same, keep=3, depth=2, breadth=2)
        await program(question="?")
        assert model.calls == 2 * 2 + 2 * 2 + 1

    async def test_a_judge_that_cannot_be_read_does_not_end_the_search(self) -> None:
        """The path counts as worth nothing."""
        thinker = Thinker({"a": 1, "b": 3, "c": 2})

        def model(request: Request) -> Any:
            if "could not be used" in request.messages[-1].text:
                return "hm"

            answer = thinker(request)
            return "hm" if answer == {"score": 3.0} else answer

        program, _ = tree(model, depth=1)
        assert (await program(question="?")).thoughts == ("c",)

    async def test_the_outputs_of_the_signature_are_kept(self) -> None:
        """Types and names are those that were asked for."""
        program, _ = tree(Thinker({"a": 1, "b": 3, "c": 2}), depth=1)
        assert list(program.answer.signature.output_fields) == ["answer"]
        assert program.input_names() == ["question"]

    @pytest.mark.parametrize("setting", ["breadth", "depth", "keep"])
    def test_a_tree_without_extent(self, setting: str) -> None:
        """Refused when it is built, by name."""
        with pytest.raises(ValueError, match=f"{setting} must be 1 or more"):
            tree(Thinker({}), **{setting: 0})
