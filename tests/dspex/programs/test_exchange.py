"""What Predict does for its adapter: files, capabilities, large answers, repairs."""

from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import Any, ClassVar, cast

import pytest

from dspex.adapters import AutoAdapter, ChatAdapter, FieldDelta, JSONAdapter, XMLAdapter
from dspex.adapters.streaming_json import JSONStreamParser
from dspex.errors import InputError, ParseError, UnsupportedFeature
from dspex.messages import Choice, Compat, ImagePart, Response, Sampling, ToolCall
from dspex.programs.predict import Predict
from dspex.signatures import Example, Prediction, Signature
from dspex.testing.models import ScriptedModel
from dspex.types import Image
from dspex.types.media import data_url

PNG = b"\x89PNG\r\n\x1a\n rest"
PHOTO = Signature("photo: Image, question: str | None -> answer")


class TestFiles:
    async def test_they_are_read_before_the_call(self, tmp_path: Path) -> None:
        """Those of the inputs and of the demonstrations; a trace holds what was read."""
        (tmp_path / "a.png").write_bytes(PNG)
        path = Image(tmp_path / "a.png")
        model = ScriptedModel([{"answer": "a cat"}])
        demos = [Example(photo=path, question=None, answer="a dog")]
        await Predict(PHOTO, client=model, demos=demos)(photo=path, question=None)

        expected = ImagePart(data_url(PNG, "image/png"))
        asked = model.requests[0].messages
        assert expected in asked[1].content
        assert expected in asked[-1].content

    async def test_one_that_cannot_be_read(self, tmp_path: Path) -> None:
        """The error names the input, and nobody is asked."""
        model = ScriptedModel([])
        with pytest.raises(InputError, match="the input 'photo' cannot be read"):
            await Predict(PHOTO, client=model)(photo=Image(tmp_path / "no.png"), question="x")

        assert model.calls == 0


class TestCapabilities:
    async def test_a_model_that_sees_nothing(self) -> None:
        """Is not asked."""
        model = ScriptedModel([], compat=Compat(images="none"))
        with pytest.raises(UnsupportedFeature, match="no images"):
            await Predict(PHOTO, client=model)(photo=Image(PNG), question="x")

        assert model.calls == 0

    async def test_the_adapter_is_fitted_to_the_client(self) -> None:
        """The same predictor asks each endpoint in its own form."""
        auto = Predict("question -> hours: int", adapter=AutoAdapter())
        schema = ScriptedModel(['{"hours": 3}'] * 2)
        prompt = ScriptedModel([{"hours": 4}], compat=Compat(structured_output="none", tools=False))
        called = Response((Choice("", tool_calls=(ToolCall("1", "answer", '{"hours": 5}'),)),))
        tool = ScriptedModel([called], compat=Compat(structured_output="json_object"))
        hours = [
            (await auto.with_client(client)(question="x"))["hours"]
            for client in (schema, prompt, schema, tool)
        ]

        assert hours == [3, 4, 3, 5]
        assert schema.requests[0].response_format is not None
        assert "[[ ## hours ## ]]" in prompt.requests[0].messages[-1].text
        assert tool.requests[0].tool_choice == "answer"

    async def test_native_thinking_by_call(self) -> None:
        """A predictor's kept prompt is not used for a call that thinks otherwise."""
        signature = Signature("question -> why: Reasoning, answer")
        thought = Response((Choice("[[ ## answer ## ]]\nyes", reasoning="hm"),))
        model = ScriptedModel(
            [thought, {"why": "written", "answer": "no"}], compat=Compat(replay_reasoning=True)
        )
        predict = Predict(signature, client=model)
        native = await predict(question="x", config=Sampling(reasoning_effort="high"))
        written = await predict(question="x")

        assert (native["why"], written["why"]) == ("hm", "written")
        assert "`why`" not in model.requests[0].messages[0].text
        assert "`why`" in model.requests[1].messages[0].text


@pytest.mark.parametrize("adapter", [ChatAdapter(), JSONAdapter(), XMLAdapter()], ids=repr)
class TestRepair:
    async def test_one_round_by_default(self, adapter: Any) -> None:
        """Shown with its error, recorded, counted."""
        signature = Signature("question -> hours: int")
        text = adapter.answer_text((signature.fields["hours"],), {"hours": 3})
        model = ScriptedModel(["many", text])
        prediction = await Predict(signature, client=model, adapter=adapter)(question="x")

        assert prediction["hours"] == 3
        assert [repair.text for repair in prediction.repairs] == ["many"]
        assert "missing" in prediction.repairs[0].problem
        assert prediction.usage.calls == 2
        assert model.requests[1].messages[-2].text == "many"

    async def test_as_many_as_allowed(self, adapter: Any) -> None:
        """None, or several; then the error of the last answer."""
        signature = Signature("question -> hours: int")
        for rounds in (0, 3):
            model = ScriptedModel([f"answer {number}" for number in range(9)])
            predict = Predict(signature, client=model, adapter=adapter, max_repairs=rounds)
            with pytest.raises(ParseError) as caught:
                await predict(question="x")

            assert model.calls == rounds + 1
            assert caught.value.text == f"answer {rounds}"


class TestLargeAnswers:
    rows: ClassVar[list[Any]] = [
        {"id": number, "text": "lorem ipsum " * 4} for number in range(200)
    ]

    async def test_they_are_read_in_a_thread(self) -> None:
        """So that the loop goes on while their JSON is repaired."""
        threads: list[bool] = []

        class Watching(JSONAdapter):
            def parse(self, signature: Any, response: Any) -> dict[str, Any]:
                threads.append(threading.current_thread() is threading.main_thread())
                return super().parse(signature, response)

        signature = Signature("question -> rows: list[Any]")
        large = "Sure:\n```json\n" + json.dumps({"rows": self.rows}) + "\n```"
        model = ScriptedModel([large, '{"rows": []}'])
        predict = Predict(signature, client=model, adapter=Watching())

        assert (await predict(question="x"))["rows"] == self.rows
        assert (await predict(question="y"))["rows"] == []
        assert threads == [False, True]

    async def test_a_short_one_that_may_need_repair_is_read_there_too(self) -> None:
        """Heard as a stream or not: a hostile page takes longer to repair than a loop may wait."""
        threads: list[bool] = []

        class Watching(ChatAdapter):
            def find(self, text: str, names: Any) -> Any:
                threads.append(threading.current_thread() is threading.main_thread())
                return super().find(text, names)

        hostile = "{" + "a b c " * 300
        for prose, expected in ((hostile, False), ("word " * 300, True)):
            model = ScriptedModel([prose] * 2)
            predict = Predict("question -> a", client=model, adapter=Watching(), max_repairs=0)
            with pytest.raises(ParseError):
                await predict(question="x")

            with pytest.raises(ParseError):
                async for _ in predict.stream(question="x"):
                    pass

            assert set(threads) == {expected}
            threads.clear()

    async def test_a_long_piece_of_a_stream_is_read_there_too(self) -> None:
        """A replayed answer comes in one."""
        threads: list[bool] = []

        class Parser(JSONStreamParser):
            def feed(self, text: str) -> list[FieldDelta]:
                threads.append(threading.current_thread() is threading.main_thread())
                return super().feed(text)

        class Watching(JSONAdapter):
            def stream_parser(self, signature: Signature) -> JSONStreamParser:
                return Parser.of(self, signature)

        answer = json.dumps({"rows": self.rows})
        predict = Predict(
            "q -> rows: list[Any]", client=ScriptedModel([answer]), adapter=Watching()
        )
        items = [item async for item in predict.stream(q="x")]
        assert cast("Prediction", items[-1]).rows == self.rows
        assert threads == [False]

    async def test_the_loop_is_not_blocked(self) -> None:
        """Answers of 19 KB that must be repaired are read in a thread."""
        signature = Signature("question -> rows: list[Any]")
        broken = "Sure: " + json.dumps({"rows": self.rows})[:19_000].replace('"id"', "id")
        model = ScriptedModel([broken])
        readers: list[int] = []

        class Noting(JSONAdapter):
            def parse(self, *args: Any, **options: Any) -> Any:
                readers.append(threading.get_ident())
                return super().parse(*args, **options)

        await Predict(signature, client=model, adapter=Noting())(question="x")
        assert readers
        assert threading.get_ident() not in readers
