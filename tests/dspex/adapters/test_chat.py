"""ChatAdapter: the conversation it asks in, the answers it reads, the repair it asks for."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Literal

import pytest
from hypothesis import given, strategies as st

from dspex.adapters.chat import ChatAdapter, render_answer
from dspex.errors import ParseError
from dspex.messages import Choice, FinishReason, Request, Response, Sampling
from dspex.recipe import build
from dspex.signatures.example import Example
from dspex.signatures.fields import Field, InputField, OutputField
from dspex.signatures.signature import Signature, make_signature


class Triage(Signature):
    """Route the ticket to the team that owns it."""

    ticket: str = InputField(desc="what the customer wrote")
    urgent: bool | None = InputField(default=None)
    team: Literal["billing", "network", "hardware"] = OutputField()
    hours: int = OutputField(ge=0, le=72)


TRIAGE = make_signature(Triage)
GOOD = "[[ ## team ## ]]\nbilling\n\n[[ ## hours ## ]]\n3\n\n[[ ## completed ## ]]"


@pytest.fixture
def adapter() -> ChatAdapter:
    return ChatAdapter()


class TestFormat:
    def test_the_system_message(self, adapter: ChatAdapter) -> None:
        """Numbered fields, the structure, the objective: once for all calls."""
        system = adapter.format(TRIAGE, [], {"ticket": "x"})[0]

        assert system.role == "system"
        assert system.text == (
            "The input fields are:\n"
            "1. `ticket` (str): what the customer wrote\n"
            "2. `urgent` (bool | None)\n"
            "The output fields are:\n"
            "1. `team` (Literal['billing', 'network', 'hardware']): "
            "must exactly match one of: billing; network; hardware\n"
            "2. `hours` (int): must be a whole number; at least 0, at most 72\n"
            "\n"
            "Every exchange has this structure, with the values filled in:\n"
            "\n"
            "[[ ## ticket ## ]]\n{ticket}\n"
            "\n"
            "[[ ## urgent ## ]]\n{urgent}\n"
            "\n"
            "[[ ## team ## ]]\n"
            "{team}        # must exactly match one of: billing; network; hardware\n"
            "\n"
            "[[ ## hours ## ]]\n"
            "{hours}        # must be a whole number; at least 0, at most 72\n"
            "\n"
            "[[ ## completed ## ]]\n"
            "\n"
            "Within this structure, your objective is:\n"
            "Route the ticket to the team that owns it."
        )

    def test_the_question(self, adapter: ChatAdapter) -> None:
        """Inputs in order, then a reminder of the outputs on one line."""
        question = adapter.format(TRIAGE, [], {"ticket": "a\nb", "urgent": None})[-1]

        assert question.role == "user"
        assert question.text == (
            "[[ ## ticket ## ]]\na\nb\n"
            "\n"
            "[[ ## urgent ## ]]\nnull\n"
            "\n"
            "Answer with these fields, in this order: "
            "`[[ ## team ## ]]` (a valid Literal['billing', 'network', 'hardware']), then "
            "`[[ ## hours ## ]]` (a valid int), and end with the marker `[[ ## completed ## ]]`."
        )

    def test_demonstrations_become_turns(self, adapter: ChatAdapter) -> None:
        """Incomplete ones first, marked as such; then complete ones; unusable ones not at all."""
        complete = Example(ticket="t1", urgent=True, team="network", hours=2)
        partial = Example(ticket="t2", team="billing")
        useless = [Example(ticket="t3"), Example(team="billing"), Example(other=1)]
        messages = adapter.format(TRIAGE, [complete, partial, *useless], {"ticket": "x"})

        assert [message.role for message in messages] == [
            "system",
            "user",
            "assistant",
            "user",
            "assistant",
            "user",
        ]
        assert messages[1].text.startswith("In the following example")
        assert messages[1].text.endswith("[[ ## ticket ## ]]\nt2")
        assert "[[ ## hours ## ]]\n(left out in this example)" in messages[2].text
        assert messages[3].text == "[[ ## ticket ## ]]\nt1\n\n[[ ## urgent ## ]]\ntrue"
        assert messages[4].text == (
            "[[ ## team ## ]]\nnetwork\n\n[[ ## hours ## ]]\n2\n\n[[ ## completed ## ]]\n"
        )

    def test_the_static_part_is_built_once(self, adapter: ChatAdapter) -> None:
        """Equal adapters share it, and it lives with the signature."""
        first = adapter.prefix(TRIAGE, [])[0]

        assert ChatAdapter().prefix(TRIAGE, [])[0] is first
        assert adapter.prefix(TRIAGE.with_instructions("x"), [])[0] is not first

    def test_a_format_function_writes_inputs_and_demonstrations(self, adapter: ChatAdapter) -> None:
        """In the question and in the turns of demonstrations alike."""
        signature = Signature("a: float -> b").with_updated_field("a", format="{:.1f}".format)
        messages = adapter.format(signature, [Example(a=1.25, b="x")], {"a": 2.0})

        assert messages[1].text == "[[ ## a ## ]]\n1.2"
        assert messages[-1].text.startswith("[[ ## a ## ]]\n2.0\n")

    def test_prepare_is_format_and_sampling(self, adapter: ChatAdapter) -> None:
        """The request holds the same messages, whether the prefix was kept or not."""
        demos = [Example(ticket="t1", urgent=True, team="network", hours=2)]
        inputs = {"ticket": "x"}
        sampling = Sampling(temperature=0.5)
        fresh = adapter.prepare(TRIAGE, demos, inputs, sampling=sampling)
        kept = adapter.prepare(
            TRIAGE, demos, inputs, sampling=sampling, prefix=adapter.prefix(TRIAGE, demos)
        )

        assert fresh == kept == Request(adapter.format(TRIAGE, demos, inputs), sampling=sampling)


class TestParse:
    @pytest.mark.parametrize(
        "text",
        [
            GOOD,
            "[[ ## Team ## ]] Billing [[ ## hours ## ]] 3.0",
            "[[##hours##]]\n3\n[[##team##]]\n'billing'",
            f"Sure, here it is.\n\n{GOOD}\n\nAnything else?",
            '{"team": "billing", "hours": 3}',
            '```json\n{"team": "Billing", "hours": "3"}\n```',
            'Sure: {"Team": "billing", "hours": 3.0, "note": "x"}',
            "{'team': 'billing', 'hours': 3,}",
        ],
    )
    def test_good_answers_in_many_forms(self, adapter: ChatAdapter, text: str) -> None:
        """The same fields, typed, in the order of the signature."""
        fields = adapter.parse(TRIAGE, text)

        assert fields == {"team": "billing", "hours": 3}
        assert list(fields) == ["team", "hours"]
        assert type(fields["hours"]) is int

    @pytest.mark.parametrize(
        "wrap",
        [
            str,
            Choice,
            lambda text: Response((Choice(text),)),
        ],
    )
    def test_it_takes_text_choice_or_response(
        self, adapter: ChatAdapter, wrap: Callable[[str], Any]
    ) -> None:
        """Whatever the caller has at hand."""
        assert adapter.parse(TRIAGE, wrap(GOOD))["team"] == "billing"

    @pytest.mark.parametrize(
        ("text", "missing", "parsed", "words"),
        [
            ("", ("team", "hours"), {}, "`team` is missing"),
            ("I cannot help.", ("team", "hours"), {}, "`hours` is missing"),
            ("[[ ## team ## ]]\nbilling", ("hours",), {"team": "billing"}, "`hours` is missing"),
            (GOOD.replace("3", "3.5"), (), {"team": "billing"}, "`hours` does not fit: '3.5' is"),
            (GOOD.replace("3", "99"), (), {"team": "billing"}, "less than or equal to 72"),
            (GOOD.replace("billing", "sales"), (), {"hours": 3}, "'sales' is not one of: billing"),
            ('{"team": "billing", "hours": 3.5}', (), {"team": "billing"}, "`hours` does not fit"),
            ("[1, 2]", ("team", "hours"), {}, "missing"),
            ('{"other": 1}', ("team", "hours"), {}, "missing"),
        ],
    )
    def test_bad_answers(
        self,
        adapter: ChatAdapter,
        text: str,
        missing: tuple[str, ...],
        parsed: dict[str, Any],
        words: str,
    ) -> None:
        """The error has the signature, the whole text, what was read and what was missing."""
        with pytest.raises(ParseError) as caught:
            adapter.parse(TRIAGE, text)

        error = caught.value
        assert (error.missing, error.parsed, error.text) == (missing, parsed, text)
        assert words in error.problem
        assert error.signature == str(TRIAGE)

    def test_all_problems_are_told_at_once(self, adapter: ChatAdapter) -> None:
        """One repair round can mend them all."""
        with pytest.raises(ParseError) as caught:
            adapter.parse(TRIAGE, "[[ ## hours ## ]]\nmany")

        assert "`team` is missing" in caught.value.problem
        assert "`hours` does not fit" in caught.value.problem

    def test_circumstances_are_told(self, adapter: ChatAdapter) -> None:
        """A cut answer and a refusal are named, for they explain the rest."""
        cut = Choice("[[ ## team", finish_reason=FinishReason.LENGTH)
        refused = Choice("", refusal="not allowed")

        with pytest.raises(ParseError, match="cut off at the token limit"):
            adapter.parse(TRIAGE, cut)
        with pytest.raises(ParseError, match="the model refused: not allowed"):
            adapter.parse(TRIAGE, Response((refused,)))
        with pytest.raises(ParseError, match="no choices"):
            adapter.parse(TRIAGE, Response(()))

    def test_optional_outputs_may_be_left_out(self, adapter: ChatAdapter) -> None:
        """Their default stands in."""
        signature = TRIAGE.append("note", OutputField(default="none"))

        assert adapter.parse(signature, GOOD)["note"] == "none"

    def test_a_chain_of_thought_as_it_comes(self, adapter: ChatAdapter) -> None:
        """Two text fields keep everything between their headers."""
        signature = Signature("question -> reasoning, answer")
        text = "[[ ## reasoning ## ]]\nline 1\n\nline 2\n[[ ## answer ## ]]\n..\n"

        assert adapter.parse(signature, text) == {"reasoning": "line 1\n\nline 2", "answer": ".."}

    def test_deep_json_is_not_a_crash(self, adapter: ChatAdapter) -> None:
        """A hostile text is a ParseError."""
        for text in ("[" * 50_000, '{"team":' * 3_000, "\ud800"):
            with pytest.raises(ParseError):
                adapter.parse(TRIAGE, text)


class TestRepair:
    def test_the_model_sees_its_answer_and_the_error(self, adapter: ChatAdapter) -> None:
        """The conversation goes on: its answer, what was wrong, the reminder."""
        request = adapter.prepare(TRIAGE, [], {"ticket": "x"})
        bad = Choice("[[ ## team ## ]]\nsales")
        with pytest.raises(ParseError) as caught:
            adapter.parse(TRIAGE, bad)

        repaired = adapter.repair(TRIAGE, request, bad, caught.value)

        assert repaired.messages[:-2] == request.messages
        assert [message.role for message in repaired.messages[-2:]] == ["assistant", "user"]
        assert repaired.messages[-2].text == bad.text
        assert caught.value.problem in repaired.messages[-1].text
        assert "[[ ## completed ## ]]" in repaired.messages[-1].text

    def test_it_takes_what_parse_takes(self, adapter: ChatAdapter) -> None:
        """Text, choice or response."""
        request = adapter.prepare(TRIAGE, [], {"ticket": "x"})
        error = ParseError("p", signature="s", text="t")
        forms: list[Any] = ["t", Choice("t"), Response((Choice("t"),))]
        repaired = {adapter.repair(TRIAGE, request, form, error).digest() for form in forms}

        assert len(repaired) == 1


_TEXT = st.text(st.characters(codec="utf-8", exclude_characters="[")).map(str.strip)


@given(
    reasoning=_TEXT,
    tags=st.lists(_TEXT),
    data=st.dictionaries(_TEXT, st.one_of(st.none(), st.integers(), _TEXT)),
    team=st.sampled_from(["billing", "network"]),
)
def test_a_perfect_answer_is_read_back(
    reasoning: str, tags: list[str], data: dict[str, Any], team: str
) -> None:
    """What render_answer writes, parse reads, whatever the values."""
    signature = Signature(
        "question -> reasoning, tags: list[str], data: dict[str, int | str | None], "
        "team: Literal['billing', 'network']"
    )
    values = {"reasoning": reasoning, "tags": tags, "data": data, "team": team}

    assert ChatAdapter().parse(signature, render_answer(signature, values)) == values


@given(st.text())
def test_any_answer_is_fields_or_a_parse_error(text: str) -> None:
    """Nothing else ever comes out of parse."""
    fields: dict[str, Any] = {"team": None, "hours": None}
    with suppress(ParseError):
        fields = ChatAdapter().parse(TRIAGE, text)

    assert fields.keys() == {"team", "hours"}


def test_an_adapter_is_a_value() -> None:
    """Equal, hashable, rebuilt from its recipe."""
    assert ChatAdapter() == ChatAdapter()
    assert build(ChatAdapter().recipe()) == ChatAdapter()
    assert json.dumps(ChatAdapter().recipe().to_dict())


def test_names_that_differ_in_case_alone_are_read_exactly() -> None:
    """Two such outputs are never mixed up."""
    signature = Signature.from_fields(
        [Field("q", "input"), Field("a", "output"), Field("A", "output")]
    )
    fields = ChatAdapter().parse(signature, "[[ ## A ## ]]\n1\n[[ ## a ## ]]\n2")

    assert fields == {"a": "2", "A": "1"}


def test_scalars_of_a_json_object_are_text_where_text_is_wanted() -> None:
    """A model that answers in JSON may leave out the quotes around a text."""
    signature = Signature("question -> reasoning, answer: int, sure")

    found = ChatAdapter().parse(signature, '{"reasoning": 5, "answer": "1,000", "sure": true}')

    assert found == {"reasoning": "5", "answer": 1000, "sure": "true"}


@pytest.mark.parametrize("value", ["[1]", '{"a": 1}', "null"])
def test_structures_of_a_json_object_are_no_text(value: str) -> None:
    """What is no scalar is not squeezed into a text."""
    with pytest.raises(ParseError, match="`answer` does not fit"):
        ChatAdapter().parse(Signature("question -> answer"), f'{{"answer": {value}}}')
