"""Signature as a value: what it holds, changed copies, equality, what it refuses."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from typing import Any, Literal, cast

import pytest

from dspex.errors import InputError, LoadError, SignatureError
from dspex.recipe import build, recipe_of
from dspex.signatures.fields import Field, InputField, OutputField
from dspex.signatures.signature import Signature, make_signature


class Triage(Signature):
    """Route the ticket to the team that owns it."""

    ticket: str = InputField(desc="what the customer wrote")
    team: Literal["billing", "network", "hardware"] = OutputField()


@pytest.fixture
def qa() -> Signature:
    return Signature("question, context: list[str] -> answer")


class TestContent:
    def test_fields_come_by_name_in_order(self, qa: Signature) -> None:
        """All fields, the inputs alone and the outputs alone keep their order."""
        assert list(qa.fields) == ["question", "context", "answer"]
        assert list(qa.input_fields) == ["question", "context"]
        assert list(qa.output_fields) == ["answer"]

    def test_default_instructions_name_the_fields(self, qa: Signature) -> None:
        """Nobody said what to do, so the fields do."""
        expected = "Given the fields `question`, `context`, produce the fields `answer`."
        assert qa.instructions == expected

    def test_default_instructions_follow_the_fields(self, qa: Signature) -> None:
        """A copy with other fields never speaks of those it does not have."""
        assert "`context`" not in qa.delete("context").instructions

    def test_its_text_is_its_string_syntax(self, qa: Signature) -> None:
        """str() gives what the constructor takes."""
        assert str(qa) == "question, context: list[str] -> answer"
        assert Signature(str(qa)) == qa

    def test_json_schemas_close_the_object(self) -> None:
        """Inputs and outputs each have a schema with descriptions and nothing else allowed."""
        schema = make_signature(Triage).input_schema()

        assert schema["properties"]["ticket"]["description"] == "what the customer wrote"
        assert schema["required"] == ["ticket"]
        assert schema["additionalProperties"] is False
        team = make_signature(Triage).output_schema()["properties"]["team"]
        assert team["enum"] == ["billing", "network", "hardware"]


class TestCopies:
    def test_instructions(self, qa: Signature) -> None:
        """They are replaced, or go on in a paragraph of their own."""
        brief = qa.with_instructions("Be brief.")

        assert brief.instructions == "Be brief."
        assert brief.append_instructions("Be right.").instructions == "Be brief.\n\nBe right."
        assert brief != qa

    def test_fields_are_added_within_their_role(self, qa: Signature) -> None:
        """prepend, append and insert count among inputs or among outputs."""
        longer = (
            qa.prepend("reasoning", OutputField())
            .append("score", OutputField(ge=0), int)
            .insert(1, "hint", InputField())
        )

        assert str(longer) == (
            "question, hint, context: list[str] -> reasoning, answer, score: int"
        )
        assert longer.fields["score"].ge == 0

    def test_insert_counts_from_the_end_as_lists_do(self, qa: Signature) -> None:
        """-1 is in front of the last."""
        assert list(qa.insert(-1, "hint", InputField()).input_fields) == [
            "question",
            "hint",
            "context",
        ]

    def test_a_field_is_changed_in_its_place(self, qa: Signature) -> None:
        """Description, type and name are options like any other."""
        changed = qa.with_updated_field("question", desc="asked", annotation=int, name="number")

        assert str(changed) == "number: int, context: list[str] -> answer"
        assert changed.fields["number"].desc == "asked"

    def test_the_original_is_untouched(self, qa: Signature) -> None:
        """Every change is a copy."""
        qa.append("more", OutputField())
        qa.with_updated_field("answer", desc="x")

        assert qa == Signature("question, context: list[str] -> answer")

    @pytest.mark.parametrize(
        "change",
        [
            lambda s: s.delete("nothing"),
            lambda s: s.with_updated_field("nothing", desc="x"),
            lambda s: s.with_updated_field("answer", colour="x"),
            lambda s: s.with_updated_field("answer", name="question"),
            lambda s: s.with_updated_field("answer", name="not a name"),
            lambda s: s.append("answer", OutputField()),
            lambda s: s.append("more", "OutputField()"),
            lambda s: s.append("class", OutputField()),
            lambda s: s.append("usage", OutputField()),
            lambda s: s.delete("answer"),
            lambda s: s.delete("question").delete("context"),
            lambda s: s.append("n", OutputField(ge=0), dict),
        ],
    )
    def test_impossible_changes_are_refused(
        self, qa: Signature, change: Callable[[Any], Any]
    ) -> None:
        """Unknown and double names, wrong options and empty sides are SignatureErrors."""
        with pytest.raises(SignatureError):
            change(qa)

    def test_unchanged_fields_are_shared(self, qa: Signature) -> None:
        """What validates a field is built once for all copies that keep it."""
        copy = qa.with_instructions("x")

        assert copy.fields["context"].adapter() is qa.fields["context"].adapter()


class TestValue:
    def test_equality_covers_all_that_matters(self, qa: Signature) -> None:
        """Instructions, names, order, types and options; the way it was written does not."""
        assert qa == Signature("question:str,context:List[str]->answer: str")
        different = [
            qa.with_instructions("x"),
            Signature("context: list[str], question -> answer"),
            Signature("question, context: list[int] -> answer"),
            qa.with_updated_field("answer", desc="short"),
            qa.with_updated_field("answer", max_length=3),
        ]
        assert all(other != qa for other in different)

    def test_the_order_of_literals_matters(self) -> None:
        """Python calls these types equal, but the prompt and the reading differ."""
        left, right = Signature("a -> b: Literal['x', 'y']"), Signature("a -> b: Literal['y', 'x']")

        assert left != right

    def test_equal_signatures_have_equal_hashes(self, qa: Signature) -> None:
        """They may be keys."""
        assert len({qa, Signature(str(qa)), qa.with_instructions(qa.instructions)}) == 1

    def test_it_travels_by_pickle(self) -> None:
        """The value of a declaration comes back equal in another process."""
        signature = make_signature(Triage).with_updated_field("ticket", default_factory=str)
        signature.bind({"ticket": "x"})

        assert pickle.loads(pickle.dumps(signature)) == signature

    def test_it_travels_by_json_and_by_recipe(self) -> None:
        """Fields, options and instructions come back equal from plain data."""
        signature = make_signature(Triage).append("hours", OutputField(ge=0, default=1), int)

        assert Signature.from_dict(signature.to_dict()) == signature
        assert build(recipe_of(signature)) == signature

    def test_it_cannot_be_changed(self, qa: Signature) -> None:
        """Neither attributes nor the table of fields."""
        with pytest.raises(AttributeError, match="immutable"):
            qa.instructions = "x"
        with pytest.raises(AttributeError, match="immutable"):
            del qa._fields
        with pytest.raises(TypeError):
            qa.fields["x"] = Field("x", "input")  # type: ignore[index]  # that is the test

    def test_what_is_made_for_it_is_made_once(self, qa: Signature) -> None:
        """cached() keeps one result per key on the value itself."""
        calls: list[Signature] = []

        def make(signature: Signature) -> int:
            calls.append(signature)
            return len(calls)

        assert [qa.cached("key", make), qa.cached("key", make), qa.cached("other", make)] == [
            1,
            1,
            2,
        ]


class TestInputs:
    def test_new_gives_a_checked_record(self) -> None:
        """Values are checked and come back immutable, by attribute and by name."""
        record = Triage.new(ticket="My router is dead")

        assert record.ticket == record["ticket"] == "My router is dead"
        with pytest.raises(AttributeError, match="immutable"):
            record.ticket = "x"

    def test_inputs_are_coerced_without_loss(self, qa: Signature) -> None:
        """What pydantic takes without doubt becomes the field's type."""
        assert qa.bind({"question": "q", "context": ("a", "b")})["context"] == ["a", "b"]

    def test_defaults_are_filled_in(self) -> None:
        """Left-out inputs get their default, a fresh one from a factory, or None."""
        signature = (
            Signature("a -> b")
            .append("n", InputField(default=3), int)
            .append("rows", InputField(default_factory=list), list[str])
            .append("note", InputField(required=False), str | None)
        )
        first, second = signature.bind({"a": "x"}), signature.bind({"a": "x"})

        assert first == {"a": "x", "n": 3, "rows": [], "note": None}
        assert first["rows"] is not second["rows"]

    @pytest.mark.parametrize(
        ("inputs", "words"),
        [
            ({"question": "q"}, ["'context' is missing"]),
            ({"question": 3, "context": []}, ["'question' must be str", "got 3"]),
            ({"question": "q", "context": "x"}, ["'context' must be list[str]"]),
            ({"qestion": "q", "context": []}, ["'question' is missing", "did you mean 'question'"]),
            ({"question": "q", "context": [], "zzz": 1}, ["unknown input 'zzz'"]),
            ({}, ["'question' is missing", "'context' is missing"]),
            ({"question": "q", "context": [], "answer": "a"}, ["unknown input 'answer'"]),
        ],
    )
    def test_wrong_inputs_are_named(
        self, qa: Signature, inputs: dict[str, Any], words: list[str]
    ) -> None:
        """Every input that is missing, unknown or mistyped is in the message."""
        with pytest.raises(InputError) as caught:
            qa.bind(inputs)

        assert all(word in str(caught.value) for word in [*words, str(qa)])

    def test_constraints_hold_for_inputs(self) -> None:
        """A value outside its limits is refused before any model is asked."""
        signature = Signature("n: int -> b").with_updated_field("n", ge=0, le=10)

        with pytest.raises(InputError, match="less than or equal to 10"):
            signature.bind({"n": 11})

    def test_a_long_value_is_cut_in_the_message(self) -> None:
        """A megabyte of input does not become a megabyte of error."""
        with pytest.raises(InputError) as caught:
            Signature("n: int -> b").bind({"n": "x" * 1_000_000})

        assert len(str(caught.value)) < 1_000


class TestMakeSignature:
    def test_it_takes_all_three_forms(self, qa: Signature) -> None:
        """A string is parsed, a value is itself, a declaration gives its value."""
        assert make_signature("question, context: list[str] -> answer") == qa
        assert make_signature(qa) is qa
        assert make_signature(Triage) is Triage.declared

    def test_instructions_replace_those_it_has(self, qa: Signature) -> None:
        """For any of the forms."""
        for source in ("question -> answer", qa, Triage):
            assert make_signature(source, "Do it.").instructions == "Do it."

    @pytest.mark.parametrize("wrong", [None, 3, str, Signature, object()])
    def test_anything_else_is_refused(self, wrong: Any) -> None:
        """Also the base class, which declares nothing."""
        with pytest.raises(SignatureError, match="no signature"):
            make_signature(wrong)


class TestSavedForm:
    @pytest.mark.parametrize(
        "broken",
        [
            {},
            {"version": 1},
            {"version": "1", "fields": []},
            {"version": 2, "fields": []},
            {"version": 1, "fields": ["a"]},
            {"version": 1, "fields": [{"name": "a", "role": "input"}]},
            {"version": 1, "fields": [{"name": "a", "role": "both", "type": "str"}]},
            {"version": 1, "fields": [{"name": "a", "role": "input", "type": "Foo"}]},
            {"version": 1, "fields": [{"name": "a b", "role": "input", "type": "str"}]},
            {"version": 1, "fields": [{"name": "a", "role": "input", "type": "str", "zz": 1}]},
            {"version": 1, "fields": [{"name": "a", "role": "input", "type": "str, b: int"}]},
            {"version": 1, "fields": [{"name": "a", "role": "input", "type": "str"}]},
        ],
    )
    def test_what_is_not_ours_is_a_load_error(self, broken: dict[str, Any]) -> None:
        """Foreign, newer and damaged data never become a signature."""
        with pytest.raises(LoadError):
            Signature.from_dict(broken)


@pytest.mark.parametrize(
    ("declare", "told"),
    [
        (lambda: Signature(cast("Any", 5)), "written as a text.*got 5"),
        (lambda: Signature(cast("Any", None)), "written as a text.*got None"),
        (lambda: Signature("a -> b", cast("Any", 5)), "instructions are a text, got 5"),
        (lambda: Signature("a -> b").with_instructions(cast("Any", 5)), "instructions are a text"),
        (lambda: Signature("a: X -> b", types=cast("Any", ["X"])), r"types is a dict.*\['X'\]"),
        (
            lambda: Signature("a -> b").append("c", OutputField(), "int"),
            "'c': its type is the text",
        ),
        (
            lambda: Signature("a -> b").with_updated_field("b", desc=5),
            "'b': desc is a text, got 5",
        ),
        (
            lambda: Signature("a -> b").with_updated_field("b", format=5),
            "'b': format is a text or a function, got 5",
        ),
        (
            lambda: Signature("a -> b").with_updated_field("b", default_factory=5),
            "'b': default_factory is a function, got 5",
        ),
        (
            lambda: Signature("a -> b").with_updated_field("b", pattern="("),
            r"'b'.*pattern.*unclosed group",
        ),
    ],
)
def test_mistakes_of_kind_are_told(declare: Callable[[], Signature], told: str) -> None:
    """Where a value of another type stands the error names the place and the value."""
    with pytest.raises(SignatureError, match=told):
        declare()


@pytest.mark.parametrize("data", [None, [], "x", 5])
def test_a_state_that_is_no_table(data: Any) -> None:
    """Whatever a file holds, the error is one of loading."""
    with pytest.raises(LoadError, match="not a signature"):
        Signature.from_dict(data)
