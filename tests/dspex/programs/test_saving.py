"""Programs in files: what is written, what comes back, and every way a file can be wrong."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal, cast

import pydantic
import pytest

from dspex.adapters.chat import ChatAdapter
from dspex.errors import LoadError
from dspex.messages import Sampling
from dspex.programs.chain_of_thought import ChainOfThought
from dspex.programs.predict import Predict
from dspex.programs.program import Program
from dspex.programs.provenance import Provenance
from dspex.programs.saving import load
from dspex.signatures.example import Example
from dspex.signatures.fields import InputField, OutputField
from dspex.signatures.prediction import Prediction
from dspex.signatures.signature import Signature
from dspex.testing.models import ScriptedModel
from dspex.types import Image
from dspex.usage import Usage


class Invoice(pydantic.BaseModel):
    total: float


class Extract(Signature):
    """Read the invoice."""

    text: str = InputField(desc="raw")
    invoice: Invoice = OutputField()
    currency: Literal["EUR", "USD"] | None = OutputField(default=None)


class Pipeline(Program):
    def __init__(self, rounds: int = 1, judge: Program | None = None) -> None:
        self.rounds = rounds
        self.draft = ChainOfThought("question -> draft")
        self.judge = judge or Predict("draft -> score: float")

    async def forward(self, question: str) -> Prediction:
        return await self.draft(question=question)


@pytest.mark.parametrize(
    "program",
    [
        Predict("question -> answer"),
        Predict(Extract),
        ChainOfThought(Extract, max_repairs=0),
        Predict(
            Extract,
            demos=[Example(text="5 EUR", invoice=Invoice(total=5.0), currency="EUR")],
            config=Sampling(temperature=0.3, stop=("\n",), n=2),
            adapter=ChatAdapter(),
            client="openai/some-model",
        ),
        Predict("a -> b").with_signature(Signature("a, c: list[int] -> b", "Do it.")),
        Pipeline(),
        Pipeline(rounds=3, judge=Predict(Extract, demos=[{"text": "x"}])),
        Pipeline(judge=Pipeline(judge=ChainOfThought("x -> y"))),
        Pipeline().with_demos({"draft": [{"question": "ä\ud800", "draft": "b"}]}),
        Pipeline().with_provenance(
            Provenance(
                "Search",
                stop_reason="done",
                score=0.5,
                candidates=({"demos": 3},),
                scores=(0.5,),
                usage=Usage(calls=3, cost_usd=None),
                seed=7,
                details={"k": [1]},
            )
        ),
    ],
    ids=lambda program: repr(program)[:60],
)
async def test_programs_come_back_equal(program: Program, tmp_path: Path) -> None:
    """Class, arguments, signatures, demonstrations, settings, provenance."""
    path = tmp_path / "program.json"
    await program.save(path)
    copy = await load(str(path))

    assert type(copy) is type(program)
    assert copy.to_parts() == program.to_parts()
    assert copy.digest() == program.digest()
    assert copy.provenance == program.provenance
    for name, predictor in program.named_predictors().items():
        assert copy.named_predictors()[name].signature == predictor.signature
        assert copy.named_predictors()[name].demos == predictor.demos


async def test_demonstrations_come_back_typed(tmp_path: Path) -> None:
    """A model is a model again, not a table."""
    demo = Example(text="5 EUR", invoice=Invoice(total=5.0), note={"a": 1}).with_inputs("text")
    await Predict(Extract, demos=[demo]).save(tmp_path / "p.json")
    copy = await load(tmp_path / "p.json")

    assert copy.named_predictors()["self"].demos == (demo,)


async def test_a_loaded_program_runs(tmp_path: Path) -> None:
    """With any client."""
    await Pipeline().save(tmp_path / "p.json")
    program = await load(tmp_path / "p.json")
    model = ScriptedModel([{"reasoning": "r", "draft": "d"}])

    assert (await program.with_client(model)(question="x")).draft == "d"


async def test_clients_are_not_saved(tmp_path: Path) -> None:
    """They hold connections and keys."""
    program = Pipeline(judge=Predict("a -> b", client=ScriptedModel(["x"], name="secret/one")))
    await program.with_client(ScriptedModel(["x"], name="secret/two")).save(tmp_path / "p.json")

    assert "secret" not in (tmp_path / "p.json").read_text()
    assert (await load(tmp_path / "p.json")).named_predictors()["judge"].client is None


async def test_what_cannot_be_saved_leaves_the_old_file(tmp_path: Path) -> None:
    """The error names what is in the way; nothing is written."""
    path = tmp_path / "p.json"
    await Predict("a -> b").save(path)
    before = path.read_bytes()

    class Local(Program):
        def __init__(self) -> None:
            self.part = Predict("a -> b")

    with pytest.raises(TypeError, match=r"<locals>\.Local"):
        await Local().save(path)

    assert path.read_bytes() == before
    assert [entry.name for entry in tmp_path.iterdir()] == ["p.json"]


async def test_many_saves_at_once_leave_one_whole_file(tmp_path: Path) -> None:
    """Readers and writers never meet half a file."""
    path = tmp_path / "p.json"
    programs = [Predict("a -> b").with_demos([{"a": str(i), "b": "x" * 5_000}]) for i in range(20)]
    await programs[0].save(path)
    async with asyncio.TaskGroup() as group:
        for program in programs:
            group.create_task(program.save(path))
            group.create_task(load(path))

    assert (await load(path)).digest() in {program.digest() for program in programs}
    assert [entry.name for entry in tmp_path.iterdir()] == ["p.json"]


class TestWrongFiles:
    async def _refused(self, path: Path) -> str:
        with pytest.raises(LoadError) as caught:
            await load(path)

        assert str(path) in str(caught.value)
        return str(caught.value)

    async def test_missing_and_unreadable(self, tmp_path: Path) -> None:
        """No file, a folder, bytes that are no text."""
        assert "cannot be read" in await self._refused(tmp_path / "nothing.json")
        assert "cannot be read" in await self._refused(tmp_path)
        (tmp_path / "binary").write_bytes(b"\xff\xfe\x00")
        assert "not a text of JSON" in await self._refused(tmp_path / "binary")

    async def test_cut_off_anywhere(self, tmp_path: Path) -> None:
        """Line and column of the damage are in the message, wherever the file ends."""
        path = tmp_path / "p.json"
        await Pipeline().with_demos({"draft": [{"question": "a", "draft": "b"}]}).save(path)
        whole = path.read_text()
        for end in range(0, len(whole) - 2, 97):
            path.write_text(whole[:end])
            message = await self._refused(path)
            assert "line" in message
            assert "column" in message

    @pytest.mark.parametrize(
        "text",
        ["[]", "3", "null", '{"a": 1}', '{"dspex_program": "1"}', '{"dspex_program": null}'],
    )
    async def test_foreign(self, tmp_path: Path, text: str) -> None:
        """JSON, but not ours."""
        path = tmp_path / "p.json"
        path.write_text(text)

        assert "not a file of ours" in await self._refused(path)

    async def test_newer(self, tmp_path: Path) -> None:
        """The message says which versions are known, and what to do."""
        path = tmp_path / "p.json"
        path.write_text('{"dspex_program": 99}')

        assert "upgrade dspex" in await self._refused(path)

    @pytest.mark.parametrize(
        ("damage", "words"),
        [
            (lambda d: d.pop("program"), "program should be a table"),
            (lambda d: d.pop("state"), "state should be a table"),
            (lambda d: d["program"].update(path="os:system"), "is not a program"),
            (lambda d: d["program"].update(path="builtins:dict"), "is not a program"),
            (lambda d: d["program"].update(path="nowhere.at.all:X"), "cannot import"),
            (lambda d: d["program"].update(path="x"), "not an import path"),
            (lambda d: d["program"].update(path=3), "not a recipe"),
            (lambda d: d["program"].update(arguments={"colour": 1}), "does not take"),
            (
                lambda d: d["program"]["arguments"].update(
                    judge={"$recipe": {"path": "os:system", "arguments": {"command": "true"}}}
                ),
                "may call",
            ),
            (lambda d: d["state"]["predictors"].pop("draft"), "another program"),
            (lambda d: d["state"]["predictors"]["draft"].update(declared="a -> b"), "was saved as"),
            (lambda d: d["state"]["predictors"]["draft"].pop("signature"), "'draft'"),
            (
                lambda d: d["state"]["predictors"]["draft"]["signature"].update(version=9),
                "version 9",
            ),
            (lambda d: d["state"]["predictors"]["draft"].update(demos=[3]), "'draft'"),
            (lambda d: d["state"]["predictors"]["draft"].update(demos=3), "'draft'"),
            (lambda d: d["state"]["predictors"]["draft"].update(config={"zz": 1}), "'draft'"),
            (lambda d: d["state"]["predictors"]["draft"].update(config=3), "'draft'"),
            (lambda d: d["state"]["predictors"]["draft"].update(max_repairs="x"), "'draft'"),
            (lambda d: d["state"]["predictors"]["draft"].update(adapter=3), "'draft'"),
            (lambda d: d["state"]["predictors"]["draft"].update(client=3), "'draft'"),
            (lambda d: d.update(provenance=3), "provenance should be a table"),
            (lambda d: d.update(provenance={"optimizer": "x"}), "not a provenance"),
        ],
    )
    async def test_of_another_shape(
        self, tmp_path: Path, damage: Callable[[Any], object], words: str
    ) -> None:
        """Each kind of damage is a LoadError that names the place."""
        path = tmp_path / "p.json"
        await Pipeline(rounds=2).save(path)
        data = json.loads(path.read_text())
        damage(data)
        path.write_text(json.dumps(data))

        assert words in await self._refused(path)


async def test_a_demonstration_that_is_a_file_must_be_read_first(tmp_path: Path) -> None:
    """No loaded program reads files, so that its demonstrations would be lost."""
    (tmp_path / "x.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    photo = Image(tmp_path / "x.png")
    program = Predict("photo: Image -> answer", demos=[{"photo": photo, "answer": "a cat"}])
    with pytest.raises(TypeError, match=r"'photo' is the file .*x\.png.*value\.load"):
        await program.save(tmp_path / "program.json")

    assert not (tmp_path / "program.json").exists()
    loaded = await photo.load()
    await program.with_demos([{"photo": loaded, "answer": "a cat"}]).save(tmp_path / "program.json")
    (demo,) = cast("Predict", await load(tmp_path / "program.json")).demos
    assert demo.photo == Image(loaded.url)
