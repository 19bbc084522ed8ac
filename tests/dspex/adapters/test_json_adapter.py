"""JSONAdapter: how an endpoint is held to JSON, what is asked, what is read."""

from __future__ import annotations

import json
from typing import Any

import pytest

from dspex.adapters.json_adapter import JSONAdapter, JSONForm
from dspex.errors import ParseError
from dspex.messages import Choice, Compat, FinishReason, Response, Sampling, ToolCall
from dspex.recipe import build
from dspex.signatures import Example, Signature
from dspex.types import Document

SIGNATURE = Signature("ticket -> team: Literal['billing', 'network'], hours: int, note: str | None")
LOOSE = Signature("question -> data: dict[str, int]")
GOOD = '{"team": "billing", "hours": 3, "note": null}'
VALUES = {"team": "billing", "hours": 3, "note": None}


@pytest.fixture
def adapter() -> JSONAdapter:
    return JSONAdapter()


class TestForm:
    @pytest.mark.parametrize(
        ("signature", "best", "form"),
        [
            (SIGNATURE, "json_schema", "json_schema"),
            (SIGNATURE, "json_object", "json_object"),
            (SIGNATURE, "none", "prompt"),
            (LOOSE, "json_schema", "json_object"),
            (LOOSE, "none", "prompt"),
        ],
    )
    def test_the_best_that_the_endpoint_honours(
        self, adapter: JSONAdapter, signature: Signature, best: Any, form: JSONForm
    ) -> None:
        """Known before the call; a schema only where the strict subset can say it."""
        compat = Compat(structured_output=best)
        fitted = adapter.fitted(signature, compat, Sampling())
        inputs = dict.fromkeys(signature.input_fields, "x")
        request = adapter.prepare(signature, [], inputs, capabilities=compat)

        assert fitted.form == form
        assert fitted.fitted(signature, Compat(), Sampling()) is fitted
        assert request == fitted.prepare(signature, [], inputs, capabilities=compat)
        assert (request.response_format.type if request.response_format else "prompt") == form

    def test_the_schema_is_strict(self, adapter: JSONAdapter) -> None:
        """All keys are required and no others are allowed."""
        shape = adapter.prepare(SIGNATURE, [], {"ticket": "x"}).response_format

        assert shape is not None
        assert shape.strict
        assert shape.schema is not None
        assert shape.schema["required"] == ["team", "hours", "note"]
        assert shape.schema["additionalProperties"] is False

    def test_the_schema_is_built_once(self, adapter: JSONAdapter) -> None:
        """And kept with the signature."""
        one, two = (adapter.prepare(SIGNATURE, [], {"ticket": text}) for text in "ab")

        assert one.response_format is two.response_format

    @pytest.mark.parametrize("signature", [SIGNATURE, LOOSE])
    def test_a_tool_s_arguments(self, signature: Signature) -> None:
        """The answer is what the one tool is called with."""
        inputs = dict.fromkeys(signature.input_fields, "x")
        request = JSONAdapter(form="tool").prepare(signature, [], inputs)

        (tool,) = request.tools
        assert request.tool_choice == tool.name
        assert tool.strict is (True if signature is SIGNATURE else None)
        assert list(tool.parameters["properties"]) == list(signature.output_fields)
        assert request.response_format is None


def test_a_model_that_cites_is_not_held_to_json(adapter: JSONAdapter) -> None:
    """Providers refuse both at once; as text, or asked for no citations, it is held."""
    signature = Signature("law: Document -> hours: int")
    reads = Compat(files="data", citations=True)
    cited, plain = Document("§ 1"), Document("§ 1", citations=False)
    forms = [
        adapter.prepare(signature, [], {"law": law}, capabilities=compat).response_format
        for law, compat in ((cited, reads), (plain, reads), (cited, Compat()))
    ]

    assert [form is None for form in forms] == [True, False, False]


class TestPrompt:
    def test_demonstrations_are_objects(self, adapter: JSONAdapter) -> None:
        """Inputs in sections, outputs as JSON, what is left out marked."""
        demos = [Example(ticket="t1", **VALUES), Example(ticket="t2", team="network")]
        turns = adapter.format(SIGNATURE, demos, {"ticket": "x"})

        assert turns[3].text == "[[ ## ticket ## ]]\nt1"
        assert json.loads(turns[4].text) == VALUES
        assert json.loads(turns[2].text)["hours"] == "(left out in this example)"

    def test_the_word_json_is_said(self, adapter: JSONAdapter) -> None:
        """Endpoints that hold to any object demand it."""
        turns = adapter.format(SIGNATURE, [], {"ticket": "x"})

        assert "JSON" in turns[0].text
        assert turns[-1].text.endswith(
            "Answer with one JSON object of these keys, in this order: "
            "`team` (a valid Literal['billing', 'network']), `hours` (a valid int), "
            "`note` (a valid str | None)."
        )

    def test_an_output_with_a_format_of_its_own(self, adapter: JSONAdapter) -> None:
        """Is written by it."""
        signature = Signature("a -> b: float").with_updated_field("b", format="{:.1f}".format)

        assert json.loads(
            adapter.format(signature, [Example(a="x", b=1.25)], {"a": "y"})[2].text
        ) == {"b": "1.2"}


class TestParse:
    @pytest.mark.parametrize(
        "text",
        [
            GOOD,
            f"```json\n{GOOD}\n```",
            f"Sure, here it is:\n{GOOD}\nAnything else?",
            "{'team': 'billing', 'hours': 3, 'note': None,}",
            '{"Team": "Billing", "HOURS": "3.0"  "note": null}',
            '[{"team": "billing", "hours": 3, "note": null}]',
            '{"team": "billing", "hours": 3, "note": null, "more": {"team": "network"}}',
            "[[ ## team ## ]]\nbilling\n[[ ## hours ## ]]\n3\n[[ ## note ## ]]\nnull",
            "{team: billing, hours: 3, note: null}",
        ],
    )
    def test_good_answers_in_many_forms(self, adapter: JSONAdapter, text: str) -> None:
        """Fences, chatter, loose JSON, the form of another adapter."""
        assert adapter.parse(SIGNATURE, text) == VALUES

    @pytest.mark.parametrize(
        ("text", "missing", "words"),
        [
            ("", ("team", "hours", "note"), "`team` is missing"),
            ("no", ("team", "hours", "note"), "missing"),
            ('{"team": "billing", "hours": 3.5, "note": null}', (), "`hours` does not fit"),
            ('{"team": "billing", "hours": true, "note": null}', (), "`hours` does not fit"),
            ('{"team": "billing", "hours": null, "note": null}', (), "`hours` does not fit"),
            ('{"team": "billing", "hours": 3, "note": ["x"]}', (), "`note` does not fit"),
            ('{"team": "sales", "hours": 3, "note": null}', (), "not one of: billing"),
            ('{"team": "billing", "note": null}', ("hours",), "`hours` is missing"),
        ],
    )
    def test_bad_answers(
        self, adapter: JSONAdapter, text: str, missing: tuple[str, ...], words: str
    ) -> None:
        """JSON's types are as strict as text's."""
        with pytest.raises(ParseError, match=words) as caught:
            adapter.parse(SIGNATURE, text)

        assert caught.value.missing == missing
        assert caught.value.text == text

    def test_text_is_kept_to_the_letter(self, adapter: JSONAdapter) -> None:
        """Blanks at its ends included."""
        assert adapter.parse(Signature("a -> b"), '{"b": "  x\\n"}') == {"b": "  x\n"}

    def test_the_arguments_of_the_tool(self) -> None:
        """Count instead of the text."""
        call = ToolCall("1", "answer", GOOD)
        choice = Choice("Done.", tool_calls=(call,), finish_reason=FinishReason.TOOL_CALLS)

        assert JSONAdapter(form="tool").parse(SIGNATURE, Response((choice,))) == VALUES
        assert JSONAdapter(form="tool").parse(SIGNATURE, GOOD) == VALUES


class TestRepair:
    def test_a_tool_call_is_answered_as_one(self) -> None:
        """Providers refuse a call that nobody answers."""
        adapter = JSONAdapter(form="tool")
        request = adapter.prepare(SIGNATURE, [], {"ticket": "x"})
        choice = Choice("", tool_calls=(ToolCall("7", "answer", "{}"),))
        with pytest.raises(ParseError) as caught:
            adapter.parse(SIGNATURE, choice)

        *_, call, reply = adapter.repair(SIGNATURE, request, choice, caught.value).messages

        assert call.tool_calls == choice.tool_calls
        assert (reply.role, reply.tool_call_id, reply.is_error) == ("tool", "7", True)
        assert "`team` is missing" in reply.text

    def test_other_answers_are_shown_as_text(self, adapter: JSONAdapter) -> None:
        """The form stays the same."""
        request = adapter.prepare(SIGNATURE, [], {"ticket": "x"})
        with pytest.raises(ParseError) as caught:
            adapter.parse(SIGNATURE, "{}")

        again = adapter.repair(SIGNATURE, request, Choice(""), caught.value)

        assert again.response_format == request.response_format
        assert [turn.text for turn in again.messages[-2:-1]] == ["(no text)"]


@pytest.mark.parametrize("form", [None, "tool", "json_object"])
def test_it_is_a_value(form: JSONForm | None) -> None:
    """Equal, hashable, rebuilt from its recipe."""
    assert build(JSONAdapter(form=form).recipe()) == JSONAdapter(form=form)
    assert len({JSONAdapter(form=form), JSONAdapter(form=form)}) == 1


def test_a_literal_of_numbers() -> None:
    """A number of JSON matches it, a near one does not."""
    signature = Signature("a -> b: Literal[1, 2]")

    assert JSONAdapter().parse(signature, '{"b": 2}') == {"b": 2}
    with pytest.raises(ParseError, match="not one of"):
        JSONAdapter().parse(signature, '{"b": 2.5}')
