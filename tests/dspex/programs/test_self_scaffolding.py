"""SelfScaffolding: a design is used only after it has passed its own cases."""

from __future__ import annotations

from typing import Any

import pytest

from dspex.errors import AnswerRejected
from dspex.messages import Request
from dspex.programs.self_scaffolding import ScaffoldCase, SelfScaffolding
from dspex.testing.models import ScriptedModel

CASES = [
    {"inputs": {"ticket": "dead router"}, "expected": {"team": "network"}},
    {"inputs": {"ticket": "wrong bill"}, "expected": {"team": "billing"}},
]


def design(**changes: Any) -> dict[str, Any]:
    return {
        "reasoning": "r",
        "signature": "ticket: str -> team: Literal['billing', 'network']",
        "instructions": "Route the ticket.",
        "cases": CASES,
        **changes,
    }


def scripted(*designs: Any, teams: dict[str, str] | None = None) -> ScriptedModel:
    """Give the designs one after the other, and route tickets by a word in them."""
    waiting = iter(designs)
    known = teams or {"router": "network", "bill": "billing"}

    def answer(request: Request) -> Any:
        asked = request.messages[-1].text
        if "## task ##" in asked:
            return next(waiting)

        return {"team": next(team for word, team in known.items() if word in asked)}

    return ScriptedModel(answer)


class TestBuild:
    async def test_a_design_that_passes_is_given(self) -> None:
        """With its cases; the program answers like any other."""
        model = scripted(design())
        scaffold = await SelfScaffolding(client=model).build("Route tickets.")
        assert scaffold.attempts == 1
        assert scaffold.cases[0] == ScaffoldCase({"ticket": "dead router"}, {"team": "network"})
        assert (await scaffold.program(ticket="a router again")).team == "network"
        assert scaffold.program.signature.instructions == "Route the ticket."

    @pytest.mark.parametrize(
        ("wrong", "told"),
        [
            ({"signature": "ticket -> "}, "the signature 'ticket ->"),
            ({"signature": "ticket: Nonsense -> team"}, "Nonsense"),
            ({"cases": CASES[:1]}, "1 cases are given, 2 are needed"),
            (
                {"cases": [CASES[0], {"inputs": {"tickte": "x"}, "expected": {"team": "billing"}}]},
                "tickte",
            ),
            (
                {"cases": [CASES[0], {"inputs": {"ticket": "x"}, "expected": {"tame": "billing"}}]},
                "expects ['tame'], the outputs are ['team']",
            ),
            (
                {"cases": [CASES[0], {"inputs": CASES[1]["inputs"], "expected": {"team": "x"}}]},
                "no team can be 'x'",
            ),
            (
                {"cases": [CASES[0], {**CASES[1], "expected": {"team": "network"}}]},
                "team is 'billing' and not 'network'",
            ),
        ],
        ids=["no outputs", "unknown type", "too few", "inputs", "outputs", "impossible", "fails"],
    )
    async def test_what_is_wrong_goes_back(self, wrong: dict[str, Any], told: str) -> None:
        """The next design is asked for with the problem in words, and is used if it passes."""
        model = scripted(design(**wrong), design())
        scaffold = await SelfScaffolding(client=model).build("Route tickets.")
        assert scaffold.attempts == 2
        again = [r.messages[-1].text for r in model.requests if "## task ##" in r.messages[-1].text]
        assert told in again[1]

    async def test_a_design_that_never_passes_is_refused(self) -> None:
        """The error shows the case that failed, and holds every design."""
        model = scripted(*[design()] * 3, teams={"router": "billing", "bill": "billing"})
        with pytest.raises(AnswerRejected, match=r"dead router.*'billing' and not 'network'") as no:
            await SelfScaffolding(client=model).build("Route tickets.")

        assert len(no.value.rejected) == 3

    async def test_values_are_compared_as_text(self) -> None:
        """Case and outer space make no difference, types in JSON neither."""
        cases = [
            {"inputs": {"ticket": "dead router"}, "expected": {"team": " Network "}},
            {"inputs": {"ticket": "wrong bill"}, "expected": {"team": "BILLING"}},
        ]
        model = scripted(design(cases=cases))
        assert (await SelfScaffolding(client=model).build("Route.")).attempts == 1


class TestProgram:
    async def test_as_a_program_it_answers_at_once(self) -> None:
        """Design, check and answer; usage counts all of it."""
        model = scripted(design())
        prediction = await SelfScaffolding(client=model)(
            task="Route tickets.", inputs={"ticket": "the bill is wrong"}
        )
        assert prediction.team == "billing"
        assert prediction.usage.calls == 4

    @pytest.mark.parametrize("settings", [{"min_cases": 0}, {"max_repairs": -1}], ids=str)
    def test_impossible_settings(self, settings: dict[str, Any]) -> None:
        """Refused with the values."""
        with pytest.raises(ValueError, match="a scaffold needs"):
            SelfScaffolding(**settings)


async def test_expected_values_are_compared_as_their_types() -> None:
    """A whole number is a number, and a date is what its text says."""
    cases = [
        {"inputs": {"q": "a"}, "expected": {"hours": 3, "day": "2026-01-02", "tags": ["x"]}},
        {"inputs": {"q": "b"}, "expected": {"hours": "3", "day": "2026-01-02", "tags": ["x"]}},
    ]
    made = design(signature="q -> hours: float, day: date, tags: set[str]", cases=cases)

    def answer(request: Request) -> Any:
        asked = request.messages[-1].text
        return made if "## task ##" in asked else {"hours": 3.0, "day": "2026-01-02", "tags": ["x"]}

    scaffold = await SelfScaffolding(client=ScriptedModel(answer), max_repairs=0).build("Plan.")
    assert scaffold.attempts == 1
