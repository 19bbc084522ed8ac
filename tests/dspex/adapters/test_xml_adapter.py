"""XMLAdapter: what it asks, and text with `<` and `&` read as it is."""

from __future__ import annotations

import pytest
from hypothesis import given, strategies as st

from dspex.adapters.xml_adapter import XMLAdapter
from dspex.errors import ParseError
from dspex.recipe import build
from dspex.signatures import Example, Signature
from dspex.signatures.fields import Field

SIGNATURE = Signature("ticket -> reasoning, team: Literal['billing', 'network'], hours: int")
GOOD = "<reasoning>\nwhy\n</reasoning>\n\n<team>\nbilling\n</team>\n\n<hours>\n3\n</hours>"
VALUES = {"reasoning": "why", "team": "billing", "hours": 3}


@pytest.fixture
def adapter() -> XMLAdapter:
    return XMLAdapter()


class TestPrompt:
    def test_inputs_and_outputs_are_tagged(self, adapter: XMLAdapter) -> None:
        """In the structure, the demonstrations and the question."""
        turns = adapter.format(SIGNATURE, [Example(ticket="t1", **VALUES)], {"ticket": "a < b"})

        assert "<hours>\n{hours}        # must be a whole number\n</hours>" in turns[0].text
        assert turns[1].text == "<ticket>\nt1\n</ticket>"
        assert turns[2].text == GOOD
        assert turns[3].text == (
            "<ticket>\na < b\n</ticket>\n\nAnswer with these tags, in this order, each closed: "
            "`<reasoning>`, then `<team>` (a valid Literal['billing', 'network']), then `<hours>` "
            "(a valid int)."
        )

    def test_what_a_demonstration_leaves_out_is_marked(self, adapter: XMLAdapter) -> None:
        """In its tag."""
        turns = adapter.format(SIGNATURE, [Example(ticket="t1", hours=3)], {"ticket": "x"})

        assert "<team>\n(left out in this example)\n</team>" in turns[2].text


class TestParse:
    @pytest.mark.parametrize(
        "text",
        [
            GOOD,
            f"Sure!\n```xml\n<answer>\n{GOOD}\n</answer>\n```\nDone.",
            "<reasoning>why</reasoning><team>Billing</team><hours>3.0</hours>",
            "<Reasoning>why</Reasoning> <TEAM type='x'>billing</TEAM> < hours >3</ hours >",
            "<hours>3</hours><team>billing</team><reasoning>why</reasoning>",
            "<reasoning>why\n<team>billing\n<hours>3",
            f"{GOOD}\n<hours>4</hours>",
            "[[ ## reasoning ## ]]\nwhy\n[[ ## team ## ]]\nbilling\n[[ ## hours ## ]]\n3",
            '{"reasoning": "why", "team": "billing", "hours": 3}',
        ],
    )
    def test_good_answers_in_many_forms(self, adapter: XMLAdapter, text: str) -> None:
        """Case, spacing, attributes, order, chatter and missing ends do no harm."""
        assert adapter.parse(SIGNATURE, text) == VALUES

    @pytest.mark.parametrize(
        "reasoning",
        [
            "a < b && c > d",
            "<b>bold</b> & <br/>",
            "&lt;kept&gt;",
            "<!-- x --> <![CDATA[ y ]]>",
            "if (a<team) return",
            "I will fill <team> with it.",
            "<ticket>x</ticket>",
            "<",
            "&",
        ],
    )
    def test_text_is_no_markup(self, adapter: XMLAdapter, reasoning: str) -> None:
        """Nothing in a value is read as XML."""
        text = adapter.answer_text(
            tuple(SIGNATURE.output_fields.values()), {**VALUES, "reasoning": reasoning}
        )

        assert adapter.parse(SIGNATURE, text) == {**VALUES, "reasoning": reasoning}

    @pytest.mark.parametrize(
        ("text", "missing"),
        [
            ("", ("reasoning", "team", "hours")),
            ("<other>x</other>", ("reasoning", "team", "hours")),
            ("<reasoning>why</reasoning>", ("team", "hours")),
        ],
    )
    def test_what_is_not_there_is_missing(
        self, adapter: XMLAdapter, text: str, missing: tuple[str, ...]
    ) -> None:
        """Nothing is guessed."""
        with pytest.raises(ParseError) as caught:
            adapter.parse(SIGNATURE, text)

        assert caught.value.missing == missing

    def test_names_that_differ_in_case_alone(self, adapter: XMLAdapter) -> None:
        """They are told apart where they are written exactly."""
        signature = Signature.from_fields(
            [Field("q", "input"), Field("a", "output"), Field("A", "output")]
        )

        assert adapter.parse(signature, "<A>1</A><a>2</a>") == {"a": "2", "A": "1"}


@given(st.text(alphabet="<>/ab &\n"), st.text(alphabet="<>/ab &\n"))
def test_any_text_without_the_tags_is_read_back(first: str, second: str) -> None:
    """As long as it does not hold the field's own closing tag."""
    signature = Signature("q -> ab, ba")
    values = {"ab": first.strip(), "ba": second.strip()}
    text = XMLAdapter().answer_text(tuple(signature.output_fields.values()), values)
    if "ab>" not in first + second and "ba>" not in first + second and "ab " not in first + second:
        assert XMLAdapter().parse(signature, text) == values


@pytest.mark.parametrize("unit", ["<reasoning", "<reasoning>", "</reasoning", "< ", "<reasoning x"])
def test_hostile_text_takes_linear_time(adapter: XMLAdapter, unit: str) -> None:
    """Half-written tags by the hundred thousand are read at once (the test would time out)."""
    with pytest.raises(ParseError):
        adapter.parse(SIGNATURE, unit * 50_000)


def test_it_is_a_value() -> None:
    """Equal, and rebuilt from its recipe."""
    assert build(XMLAdapter().recipe()) == XMLAdapter()
