"""What all adapters share: parts, history, fields beside the text, the form of errors."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

import pydantic
import pytest

from dspex.adapters import (
    AutoAdapter,
    ChatAdapter,
    FreeAdapter,
    JSONAdapter,
    TextAdapter,
    XMLAdapter,
)
from dspex.errors import InputError, ParseError, UnsupportedFeature
from dspex.messages import (
    Choice,
    Citation,
    Compat,
    FinishReason,
    ImagePart,
    Message,
    Response,
    Sampling,
    TextPart,
    ToolCall,
    ToolSpec,
)
from dspex.signatures import Example, Signature
from dspex.types import Citations, Code, FieldType, History, Image, Reasoning

ADAPTERS = (ChatAdapter(), JSONAdapter(), XMLAdapter(), FreeAdapter())
URL = "https://example.org/a.png"
THINKS = Compat(replay_reasoning=True)
EFFORT = Sampling(reasoning_effort="low")


@dataclass(frozen=True, slots=True)
class Hammer(FieldType):
    name: str

    def render(self) -> str:
        return self.name

    @classmethod
    def travels_natively(cls, capabilities: Compat, sampling: Sampling) -> bool:
        return capabilities.tools

    def tool_specs(self) -> tuple[ToolSpec, ...]:
        return (ToolSpec(self.name, "hits", {"type": "object"}),)


@dataclass(frozen=True, slots=True)
class Blows(FieldType):
    calls: tuple[str, ...] = ()

    def render(self) -> str:
        return ",".join(self.calls)

    @classmethod
    def parse(cls, text: str, *parameters: Any) -> Self:
        return cls(tuple(filter(None, text.split(","))))

    @classmethod
    def travels_natively(cls, capabilities: Compat, sampling: Sampling) -> bool:
        return capabilities.tools

    @classmethod
    def from_choice(cls, choice: Choice) -> Self | None:
        return cls(tuple(call.name for call in choice.tool_calls))


TYPES = {"Hammer": Hammer, "Blows": Blows}
TOOLED = Signature("task, tools: list[Hammer] -> thought, blows: Blows", types=TYPES)


@pytest.mark.parametrize("adapter", ADAPTERS, ids=repr)
class TestParts:
    def test_an_image_stands_where_its_field_is(self, adapter: TextAdapter) -> None:
        """Text before it, the image, text behind it."""
        signature = Signature("photo: Image, question -> answer")
        content = adapter.format(signature, [], {"photo": Image(URL), "question": "what?"})[
            -1
        ].content

        assert not isinstance(content, str)
        before, image, behind = content
        assert isinstance(before, TextPart)
        assert "photo" in before.text
        assert image == ImagePart(URL)
        assert isinstance(behind, TextPart)
        assert "what?" in behind.text

    def test_images_inside_a_value(self, adapter: TextAdapter) -> None:
        """JSON goes on around them."""

        class Page(pydantic.BaseModel):
            number: int
            image: Image

        signature = Signature("pages: list[Page], any: Any -> answer", types={"Page": Page})
        pages = [Page(number=1, image=Image(URL)), Page(number=2, image=Image(URL))]
        message = adapter.format(signature, [], {"pages": pages, "any": {"x": Image(URL)}})[-1]

        assert [part for part in message.content if part == ImagePart(URL)] == [ImagePart(URL)] * 3
        assert '[{"number": 1, "image": }, {"number": 2, "image": }]' in message.text
        assert '{"x": }' in message.text

    def test_demonstrations_hold_parts(self, adapter: TextAdapter) -> None:
        """Also those that come from a file, as plain JSON."""
        signature = Signature("photo: Image -> answer, code: Code['python']")
        demo = Example(photo=URL, answer="a cat", code="x = 1")
        turn, answer = adapter.format(signature, [demo], {"photo": Image(URL)})[1:3]

        assert ImagePart(URL) in turn.content
        assert "x = 1" in answer.text
        with pytest.raises(InputError, match="'photo' is no Image"):
            adapter.prefix(signature, [Example(photo=3, answer="x", code="")])

    def test_what_the_endpoint_cannot_see(self, adapter: TextAdapter) -> None:
        """Is an error before the call, in demonstrations as well."""
        signature = Signature("photo: Image | None -> answer")
        blind = Compat(images="none")
        demos = [Example(photo=Image(URL), answer="x")]

        assert adapter.prepare(signature, [], {"photo": None}, capabilities=blind).messages
        with pytest.raises(UnsupportedFeature, match="no images"):
            adapter.prepare(signature, [], {"photo": Image(URL)}, capabilities=blind)
        with pytest.raises(UnsupportedFeature, match="no images"):
            adapter.prepare(signature, demos, {"photo": None}, capabilities=blind)


@pytest.mark.parametrize("adapter", ADAPTERS, ids=repr)
class TestHistory:
    signature = Signature("question, talk: History -> answer, sure: bool")

    def test_turns_become_messages(self, adapter: TextAdapter) -> None:
        """Behind the demonstrations, before the question; the prompt has no word of the field."""
        talk = History(({"question": "q1", "answer": "a1", "sure": True}, {"question": "q2"}))
        demos = [Example(question="d", talk=History(), answer="x", sure=False)]
        turns = adapter.format(self.signature, demos, {"question": "q3", "talk": talk})

        assert [turn.role[0] for turn in turns] == ["s", "u", "a", "u", "a", "u", "u"]
        assert "q1" in turns[3].text
        assert "a1" in turns[4].text
        assert "q2" in turns[5].text
        assert "q3" in turns[6].text
        assert "talk" not in "".join(turn.text for turn in turns)

    def test_outputs_alone_and_none_at_all(self, adapter: TextAdapter) -> None:
        """A turn may begin with the assistant; there may be no history."""
        alone = adapter.format(
            self.signature, [], {"question": "q", "talk": History(({"answer": "hello"},))}
        )

        assert [turn.role for turn in alone] == ["system", "assistant", "user"]
        assert "left out" not in alone[1].text
        assert len(adapter.format(self.signature, [], {"question": "q"})) == 2

    def test_a_turn_of_strangers(self, adapter: TextAdapter) -> None:
        """Names the turn and what it holds."""
        talk = History(({"question": "q"}, {"query": "x"}))
        with pytest.raises(InputError, match=r"turn 2 of 'talk' has no field.*query"):
            adapter.format(self.signature, [], {"question": "q", "talk": talk})


@pytest.mark.parametrize("adapter", [*ADAPTERS, AutoAdapter()], ids=repr)
class TestThinking:
    signature = Signature("question -> why: Reasoning, answer")

    def test_where_the_model_thinks_by_itself(self, adapter: Any) -> None:
        """The prompt does not ask for it, and it is read from beside the text."""
        fitted = adapter.fitted(self.signature, THINKS, EFFORT)
        request = fitted.prepare(self.signature, [], {"question": "x"}, capabilities=THINKS)
        text = fitted.answer_text((self.signature.fields["answer"],), {"answer": "4"})
        text = "[[ ## answer ## ]]\n4" if isinstance(fitted, FreeAdapter) else text
        fields = fitted.parse(self.signature, Choice(text, reasoning="hm"))

        assert "why" not in "".join(message.text for message in request.messages)
        assert fields == {"why": "hm", "answer": "4"}
        assert type(fields["why"]) is Reasoning

    def test_where_it_does_not(self, adapter: Any) -> None:
        """It is a field of the text, and the adapter stays what it is."""
        fitted = adapter.fitted(self.signature, Compat(), EFFORT)
        turns = fitted.format(self.signature, [], {"question": "x"})

        assert fitted.fitted(self.signature, Compat(), EFFORT) is fitted
        assert "why" in turns[0].text
        assert fitted.recipe() == type(fitted)().recipe() or isinstance(fitted, JSONAdapter)


class TestBesideTheText:
    def test_a_hidden_thought_counts_as_missing(self) -> None:
        """The provider gave none, and the field is required."""
        signature = TestThinking.signature
        fitted = ChatAdapter().fitted(signature, THINKS, EFFORT)
        with pytest.raises(ParseError, match="`why` is missing"):
            fitted.parse(signature, Choice("[[ ## answer ## ]]\n4"))

    def test_thinking_stands_in_for_a_field_left_out(self) -> None:
        """Asked for in the text and not written, the model's own will do."""
        signature = TestThinking.signature
        fields = ChatAdapter().parse(signature, Choice("[[ ## answer ## ]]\n4", reasoning="hm"))

        assert fields == {"why": "hm", "answer": "4"}

    def test_tools_go_with_the_request(self) -> None:
        """Native inputs leave the prompt, native outputs are not asked for."""
        fitted = ChatAdapter().fitted(TOOLED, Compat(), Sampling())
        tools = [Hammer("big"), Hammer("small")]
        request = fitted.prepare(TOOLED, [], {"task": "nail", "tools": tools})

        assert fitted.native == {"tools", "blows"}
        assert [tool.name for tool in request.tools] == ["big", "small"]
        assert "blows" not in request.messages[0].text + request.messages[-1].text

    def test_an_answer_that_calls_tools_may_leave_the_rest_out(self) -> None:
        """It stopped to have them called; one that does not call must say all."""
        fitted = ChatAdapter().fitted(TOOLED, Compat(), Sampling())
        call = ToolCall("1", "big", "{}")
        choice = Choice("", tool_calls=(call,), finish_reason=FinishReason.TOOL_CALLS)

        assert fitted.parse(TOOLED, choice) == {"thought": None, "blows": Blows(("big",))}
        assert fitted.parse(TOOLED, Response((Choice("[[ ## thought ## ]]\ndone"),))) == {
            "thought": "done",
            "blows": Blows(),
        }
        with pytest.raises(ParseError, match="`thought` is missing"):
            fitted.parse(TOOLED, Choice("", tool_calls=(call,)))

    def test_where_tools_are_not_taken(self) -> None:
        """Both are text like any other."""
        adapter = ChatAdapter().fitted(TOOLED, Compat(tools=False), Sampling())
        turns = adapter.format(TOOLED, [], {"task": "nail", "tools": [Hammer("big")]})

        assert adapter == ChatAdapter()
        assert '["big"]' in turns[-1].text
        text = "[[ ## thought ## ]]\nhit\n[[ ## blows ## ]]\nbig,big"
        assert adapter.parse(TOOLED, text)["blows"] == Blows(("big", "big"))

    def test_a_model_with_tools_is_not_held_to_json(self) -> None:
        """It could not call them."""
        adapter = JSONAdapter().fitted(TOOLED, Compat(), Sampling())
        request = adapter.prepare(TOOLED, [], {"task": "nail", "tools": [Hammer("big")]})

        assert request.response_format is None
        assert AutoAdapter().fitted(TOOLED, Compat(), Sampling()) == ChatAdapter(
            native=frozenset({"tools", "blows"})
        )

    def test_citations_of_the_provider(self) -> None:
        """Are the output, and the model is not asked to write any."""
        signature = Signature("law: Document -> answer, quotes: Citations")
        compat = Compat(citations=True, files="data")
        fitted = ChatAdapter().fitted(signature, compat, Sampling())
        cited = Choice("[[ ## answer ## ]]\nyes", citations=(Citation("§ 1"),))

        assert fitted.parse(signature, cited) == {
            "answer": "yes",
            "quotes": Citations((Citation("§ 1"),)),
        }
        assert "quotes" not in fitted.prefix(signature, [])[0].text


@pytest.mark.parametrize("adapter", ADAPTERS, ids=repr)
class TestAnyAdapter:
    def test_the_repair_shows_answer_and_error(self, adapter: TextAdapter) -> None:
        """And how the answer should look."""
        signature = Signature("question -> hours: int")
        request = adapter.prepare(signature, [], {"question": "x"})
        with pytest.raises(ParseError) as caught:
            adapter.parse(signature, Choice("no idea"))

        answer, complaint = adapter.repair(signature, request, "no idea", caught.value).messages[
            -2:
        ]

        assert answer == Message("assistant", "no idea")
        assert "`hours` is missing" in complaint.text
        assert "`hours`" in complaint.text.rpartition("again.")[2] or "hours" in complaint.text

    def test_control_characters_emoji_and_languages(self, adapter: TextAdapter) -> None:
        """Pass through unchanged, in and out."""
        signature = Signature("question -> answer")
        for value in ("日本語 العربية עברית", "👩‍👩‍👧 é e\u0301", "\x00\x07\x1b[0m", "x" * 300_000):
            asked = adapter.format(signature, [], {"question": value})[-1].text
            text = adapter.answer_text((signature.fields["answer"],), {"answer": value})

            assert value in asked
            if not isinstance(adapter, FreeAdapter):
                assert adapter.parse(signature, text) == {"answer": value}

    def test_code_is_read_without_its_fence(self, adapter: TextAdapter) -> None:
        """Whether it was written with one or not."""
        signature = Signature("question -> answer: Code['python']")
        source = "a = '<b>'\n\n[[1]]"
        for form in (str(Code(source).render()), source):
            text = adapter.answer_text((signature.fields["answer"],), {"answer": form})
            if not isinstance(adapter, FreeAdapter):
                assert adapter.parse(signature, text) == {"answer": source}
