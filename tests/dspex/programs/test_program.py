"""Programs: calls, composition, copies, state, digests."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from dspex.effects import Trace, current, scope
from dspex.errors import InputError, LoadError, ParseError
from dspex.messages import Request, Sampling
from dspex.programs.chain_of_thought import ChainOfThought
from dspex.programs.predict import Predict
from dspex.programs.program import Program
from dspex.programs.provenance import Provenance
from dspex.recipe import build, recipe_of
from dspex.signatures.example import Example
from dspex.signatures.fields import OutputField
from dspex.signatures.prediction import Prediction
from dspex.testing.models import ScriptedModel
from dspex.usage import Usage, UsageMeter


class Pipeline(Program):
    def __init__(self, hint: str = "") -> None:
        self.hint = hint
        self.draft = ChainOfThought("question -> draft")
        self.polish = Predict("question, draft -> answer")

    async def forward(self, question: str) -> Prediction:
        draft = await self.draft(question=question)
        return await self.polish(question=question, draft=self.hint + draft.draft)


class Nested(Program):
    steps: Any
    tools: Any

    def __init__(self, inner: Program | None = None) -> None:
        self.inner = inner or Pipeline()
        shared = Predict("a -> b")
        self.steps = [shared, Predict("b -> c")]
        self.tools = {"x": Predict("c -> d"), "same": shared}

    async def forward(self, a: str) -> Prediction:
        first = await self.steps[0](a=a)
        second = await self.steps[1](b=first.b)
        last: Prediction = await self.tools["x"](c=second.c)
        return last


def answer(request: Request) -> dict[str, str]:
    """Answer each field with its own name."""
    last = request.messages[-1].text
    names = ("reasoning", "draft", "answer", "b", "c", "d")
    reminder = last[last.rindex("Answer with") :]
    return {name: f"<{name}>" for name in names if f"[[ ## {name} ## ]]" in reminder}


@pytest.fixture
def model() -> ScriptedModel:
    return ScriptedModel(answer, usage_per_call=Usage(calls=1, input_tokens=10))


class TestCall:
    async def test_plain_async_code_composes(self, model: ScriptedModel) -> None:
        """Parts are called like functions; the result is the last one's."""
        prediction = await Pipeline(hint="!").with_client(model)(question="why?")

        assert prediction.answer == "<answer>"
        assert "!<draft>" in model.requests[-1].messages[-1].text

    async def test_usage_covers_everything_below(self, model: ScriptedModel) -> None:
        """Also that of the surrounding meter; calls do not mix."""
        program = Pipeline().with_client(model)
        outer = UsageMeter()
        with scope(meter=outer):
            first = await program(question="a")
            second = await program(question="b")

        assert (first.usage.calls, second.usage.calls, outer.total.calls) == (2, 2, 4)
        assert first.usage.input_tokens == 20

    async def test_a_prediction_made_by_hand_has_the_usage_too(self, model: ScriptedModel) -> None:
        """What forward returns may be its own, as long as it is a Prediction."""

        class Vote(Program):
            def __init__(self) -> None:
                self.ask = Predict("a -> b").with_client(model)

            async def forward(self, a: str) -> Prediction:
                found = [await self.ask(a=a) for _ in range(3)]
                return Prediction(b=found[0].b, agreed=True)

        prediction = await Vote()(a="x")

        assert prediction.agreed
        assert prediction.usage.calls == 3

    async def test_scopes_are_named_by_place(self, model: ScriptedModel) -> None:
        """By the attribute in the owner, else by the class; repeated calls are numbered."""
        paths: list[tuple[str, ...]] = []

        def note(request: Request) -> dict[str, str]:
            paths.append(current().path)
            return answer(request)

        program = Nested().with_client(ScriptedModel(note))
        await program(a="x")
        await program.inner(question="y")
        with scope("trial"):
            await program(a="x")
            await program(a="x")

        assert paths == [
            ("Nested", "steps[0]"),
            ("Nested", "steps[1]"),
            ("Nested", "tools['x']"),
            ("Pipeline", "draft"),
            ("Pipeline", "polish"),
            ("trial", "Nested", "steps[0]"),
            ("trial", "Nested", "steps[1]"),
            ("trial", "Nested", "tools['x']"),
            ("trial", "Nested#1", "steps[0]"),
            ("trial", "Nested#1", "steps[1]"),
            ("trial", "Nested#1", "tools['x']"),
        ]

    async def test_one_correlation_id_for_all_below(self) -> None:
        """It comes from outside or is made at the outermost call."""
        seen: list[str | None] = []

        def note(request: Request) -> dict[str, str]:
            seen.append(current().correlation_id)
            return answer(request)

        program = Pipeline().with_client(ScriptedModel(note))
        await program(question="a")
        with scope(correlation_id="mine"):
            await program(question="b")

        assert seen[0] is not None
        assert seen[0] == seen[1]
        assert seen[2:] == ["mine", "mine"]

    @pytest.mark.parametrize(
        ("args", "inputs", "words"),
        [
            (("why?",), {}, r"write question='why\?'"),
            ((), {}, "question"),
            ((), {"question": "a", "colour": "b"}, "colour"),
            ((), {"qestion": "a"}, "question"),
        ],
    )
    async def test_wrong_inputs_are_input_errors(
        self, model: ScriptedModel, args: tuple[Any, ...], inputs: dict[str, Any], words: str
    ) -> None:
        """Positional, missing and unknown ones, before any call; the message names them."""
        with pytest.raises(InputError, match=words):
            await Pipeline().with_client(model)(*args, **inputs)

        assert model.calls == 0

    async def test_a_type_error_inside_stays_one(self) -> None:
        """Only the call's own arguments become an InputError."""

        class Broken(Program):
            async def forward(self, a: str) -> Prediction:
                return Prediction(b=len(3))  # type: ignore[arg-type]  # that is the test

        class BrokenEarly(Program):
            def forward(self, a: str) -> Any:
                raise TypeError("at once")

        with pytest.raises(TypeError, match="len"):
            await Broken()(a="x")
        with pytest.raises(TypeError, match="at once"):
            await BrokenEarly()(a="x")

    async def test_only_predictions_may_be_returned(self) -> None:
        """The message says what came and what to write."""

        class Careless(Program):
            async def forward(self, a: str) -> Any:
                return {"b": a}

        with pytest.raises(TypeError, match=r"Careless\.forward returned \{'b': 'x'\}"):
            await Careless()(a="x")
        with pytest.raises(NotImplementedError, match="Program has no"):
            await Program()(a="x")

    @pytest.mark.slow
    async def test_ten_thousand_calls_at_once(self) -> None:
        """Each has its own usage, scope and answer; nothing is left over."""

        async def echo(request: Request) -> str:
            await asyncio.sleep(0)
            text = request.messages[-1].text
            question = text.splitlines()[1]
            names = ("reasoning", "draft") if "`[[ ## reasoning ## ]]`" in text else ("answer",)
            return "\n".join(f"[[ ## {name} ## ]]\n{question}" for name in names)

        model = ScriptedModel(echo)
        program = Pipeline().with_client(model)
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(program(question=f"q{index}")) for index in range(10_000)]

        assert all(task.result().answer == f"q{index}" for index, task in enumerate(tasks))
        assert {task.result().usage.calls for task in tasks} == {2}
        assert (model.calls, model.in_flight, model.max_in_flight) == (20_000, 0, 10_000)
        assert current().path == ()
        assert current().meter is None

    async def test_an_error_leaves_the_scope_clean(self, model: ScriptedModel) -> None:
        """Whatever is raised, the caller is back where it was."""
        program = Pipeline().with_client(ScriptedModel(["nonsense", "nonsense"]))
        meter = UsageMeter()
        with scope("here", meter=meter) as here:
            with pytest.raises(ParseError):
                await program(question="a")

            assert current() is here

        assert meter.total.calls == 2


class TestParts:
    def test_predictors_and_programs_by_path(self) -> None:
        """Attributes, lists and dicts; a shared one at its first place; a lone one is `self`."""
        nested = Nested()

        assert list(nested.named_predictors()) == [
            "inner.draft",
            "inner.polish",
            "steps[0]",
            "steps[1]",
            "tools['x']",
        ]
        assert list(nested.named_programs())[:2] == ["self", "inner"]
        assert list(Pipeline().named_predictors()) == ["draft", "polish"]
        lone = Predict("a -> b")
        assert lone.named_predictors() == {"self": lone}

    def test_replacing_gives_a_copy(self) -> None:
        """Shared parts stay shared, the rest is the same objects, the original is untouched."""
        nested = Nested()
        new = Predict("a -> b", demos=[Example(a="x", b="y")])
        copy = nested.replace({"steps[0]": new})

        assert copy.steps[0] is copy.tools["same"] is new
        assert copy.inner is nested.inner
        assert copy.steps[1] is nested.steps[1]
        assert nested.steps[0].demos == ()
        assert nested.replace({}) is nested

    def test_a_predictor_may_be_replaced_by_a_program(self) -> None:
        """And the program itself by another."""
        pipeline = Pipeline()
        other = Pipeline(hint="x")

        assert Nested().replace({"inner": other}).inner is other
        assert pipeline.replace({"self": other}) is other

    def test_unknown_paths_are_named(self) -> None:
        """With those that there are."""
        with pytest.raises(ValueError, match=r"\['draught'\].*'draft'"):
            Pipeline().replace({"draught": Predict("a -> b")})
        with pytest.raises(ValueError, match=r"\['draught'\].*'draft'"):
            Pipeline().with_demos({"draught": []})

    @pytest.mark.parametrize(
        ("change", "read"),
        [
            (lambda p: p.with_client("x/y"), lambda q: q.client == "x/y"),
            (lambda p: p.with_config(temperature=0.5), lambda q: q.config.temperature == 0.5),
            (lambda p: p.with_config(Sampling(n=2)), lambda q: q.config.n == 2),
            (
                lambda p: p.with_config(Sampling(n=2), seed=1),
                lambda q: q.config == Sampling(n=2, seed=1),
            ),
        ],
    )
    def test_with_reaches_every_predictor(
        self, change: Callable[[Program], Program], read: Callable[[Predict], bool]
    ) -> None:
        """However deep; the original stays as it was."""
        nested = Nested()
        predictors = change(nested).named_predictors().values()

        assert len(predictors) == 5
        assert all(read(predictor) for predictor in predictors)
        assert not any(read(predictor) for predictor in nested.named_predictors().values())

    def test_with_demos_by_path_or_for_the_only_one(self) -> None:
        """Mappings become examples; several predictors need paths."""
        program = Pipeline().with_demos({"draft": [{"question": "a", "draft": "b"}]})

        assert program.draft.demos == (Example(question="a", draft="b"),)
        assert program.polish.demos == ()
        assert Predict("a -> b").with_demos([{"a": 1}]).demos == (Example(a=1),)
        with pytest.raises(ValueError, match="by path"):
            Pipeline().with_demos([{"a": 1}])

    def test_provenance_is_carried_along(self) -> None:
        """Through copies; the original has none."""
        program = Pipeline()
        provenance = Provenance("Random(seed=1)", stop_reason="budget", score=0.5)
        marked = program.with_provenance(provenance)

        assert program.provenance is None
        assert marked.provenance == provenance
        assert marked.with_client("x/y").provenance == provenance
        assert marked.with_provenance(None).provenance is None


class TestState:
    def test_state_goes_from_one_program_to_another(self) -> None:
        """Instructions, demonstrations and settings by path."""
        better = (
            Pipeline()
            .with_demos({"polish": [{"question": "a", "draft": "b", "answer": "c"}]})
            .with_config(temperature=0.1, stop=("x",))
        )
        better = better.replace({"draft": better.draft.with_instructions("Think.")})
        state = better.to_dict()
        restored = Pipeline().with_state(state)

        assert restored.to_dict() == state
        assert restored.draft.signature == better.draft.signature
        assert restored.polish.demos == better.polish.demos
        assert restored.polish.config == better.polish.config

    @pytest.mark.parametrize(
        "damage",
        [
            lambda state: {},
            lambda state: {"predictors": []},
            lambda state: {"predictors": {"draft": state["predictors"]["draft"]}},
            lambda state: {"predictors": {**state["predictors"], "more": {}}},
            lambda state: {"predictors": {**state["predictors"], "draft": {}}},
            lambda state: {"predictors": {**state["predictors"], "draft": 3}},
        ],
    )
    def test_a_state_of_another_shape_is_refused(
        self, damage: Callable[[Any], Mapping[str, Any]]
    ) -> None:
        """Nothing is taken from it."""
        with pytest.raises(LoadError):
            Pipeline().with_state(damage(Pipeline().to_dict()))

    def test_renamed_fields_are_not_mixed_up(self) -> None:
        """A predictor whose code has changed since refuses; the message shows both forms."""
        state = Predict("question -> answer").with_instructions("Be brief.").to_dict()

        with pytest.raises(LoadError, match=r"'question -> answer'.*'question -> reply'"):
            Predict("question -> reply").with_state(state)
        with pytest.raises(LoadError, match="self"):
            Predict("answer -> question").with_state(state)

    def test_fields_that_an_optimizer_added_come_back(self) -> None:
        """The code's own signature is compared, not the changed one."""
        base = Predict("question -> answer")
        grown = base.with_signature(base.signature.prepend("hint", OutputField()))

        assert base.with_state(grown.to_dict()).signature == grown.signature

    @pytest.mark.parametrize(
        "program",
        [
            Predict("a -> b"),
            Predict("a -> b", demos=[Example(a="x", b="y")], max_repairs=3),
            ChainOfThought("a -> b: int"),
            Pipeline(hint="x"),
            Pipeline().with_config(temperature=1.0),
            Nested(Pipeline(hint="y").with_demos({"draft": [{"question": "a", "draft": "b"}]})),
            Pipeline().with_provenance(Provenance("x", candidates=({"a": 1},), scores=(1.0, None))),
        ],
    )
    def test_recipes_build_equal_programs(self, program: Program) -> None:
        """With demonstrations, settings and provenance."""
        copy = build(recipe_of(program))

        assert type(copy) is type(program)
        assert copy.digest() == program.digest()
        assert copy.to_dict() == program.to_dict()
        assert copy.provenance == program.provenance

    def test_what_cannot_be_rebuilt_is_named(self) -> None:
        """The argument and the class."""

        class Judged(Program):
            def __init__(self, reward: Any) -> None:
                self.reward = reward

        with pytest.raises(TypeError, match=r"Judged, argument 'reward'.*<lambda>"):
            Judged(lambda: 1).recipe()


class TestDigest:
    def test_it_follows_what_answers_depend_on(self) -> None:
        """Class, arguments, signatures, demonstrations, settings."""
        base = Pipeline()
        others = [
            Pipeline(hint="x"),
            base.with_config(temperature=1.0),
            base.with_demos({"draft": [{"question": "a", "draft": "b"}]}),
            base.replace({"polish": base.polish.with_instructions("x")}),
            Nested(),
        ]

        digests = {program.digest() for program in (base, *others)}
        assert len(digests) == 6
        assert base.digest() == Pipeline().digest()

    def test_clients_and_provenance_do_not_count(self, model: ScriptedModel) -> None:
        """However they were given."""
        base = Predict("a -> b")

        assert base.with_client(model).digest() == base.digest()
        assert base.with_client("x/y").digest() == base.digest()
        assert Predict("a -> b", client=model).digest() == base.digest()
        assert base.with_provenance(Provenance("x")).digest() == base.digest()
        wrapped = Nested(Pipeline().with_client(model))
        assert wrapped.digest() == Nested(Pipeline()).digest()

    def test_what_has_no_json_form_counts_by_its_name(self) -> None:
        """A lambda does not keep a program from being evaluated."""

        class Judged(Program):
            def __init__(self, reward: Any) -> None:
                self.reward = reward

        assert Judged(lambda: 1).digest() != Judged(len).digest()

    @pytest.mark.slow
    def test_it_is_the_same_in_every_process(self) -> None:
        """Whatever the seed of Python's string hashes."""
        code = (
            "from dspex.programs import *\n"
            'p = ChainOfThought(\'a: set[str], c: dict[str, int] -> b: Literal["x", "y"]\')\n'
            "print(p.with_demos([{'a': set('abcdef'), 'c': {'k': 1}, 'b': 'x'}]).digest())"
        )
        found = {
            subprocess.run(
                [sys.executable, "-c", code],
                env={**os.environ, "PYTHONHASHSEED": seed},
                capture_output=True,
                check=True,
                text=True,
            ).stdout
            for seed in ("1", "2")
        }

        assert len(found) == 1


async def test_a_trace_knows_the_predictors(model: ScriptedModel) -> None:
    """By identity, with their inputs and predictions, in the order they finished."""
    program = Pipeline().with_client(model)
    trace = Trace()
    with scope(trace=trace):
        prediction = await program(question="a")

    paths = {id(part): path for path, part in program.named_predictors().items()}
    assert [paths[id(entry.predictor)] for entry in trace.entries] == ["draft", "polish"]
    assert trace.entries[0].inputs == {"question": "a"}
    assert trace.entries[1].prediction == prediction
    assert trace.entries[0].prediction.usage.calls == 1


class Wrapped(Program):
    def __init__(self, inner: Program) -> None:
        self.inner = inner

    async def forward(self, **inputs: Any) -> Prediction:
        return await self.inner(**inputs)


class Several(Program):
    parts: Any

    def __init__(self, parts: Any) -> None:
        self.parts = parts


def test_a_part_may_be_replaced_by_one_that_holds_it() -> None:
    """Wrapping a part keeps the old one inside, untouched; also for the whole program."""
    pipeline = Pipeline()

    wrapped = pipeline.replace({"draft": Wrapped(pipeline.draft)})
    assert list(wrapped.named_predictors()) == ["draft.inner", "polish"]
    assert wrapped.named_programs()["draft.inner"] is pipeline.draft

    outer: Program = pipeline.replace({"self": Wrapped(pipeline)})
    assert outer.named_programs()["inner"] is pipeline


def test_shared_parts_given_as_arguments_can_be_built_again() -> None:
    """One predictor in several places is one predictor again after its recipe was built."""
    shared = Predict("a -> b")
    program = Several([shared, {"same": shared}, Wrapped(shared), Predict("c -> d")])
    program = program.with_demos({"parts[0]": [Example(a="1", b="2")]})

    built = build(program.recipe())

    assert built.digest() == program.digest()
    assert list(built.named_predictors()) == ["parts[0]", "parts[3]"]
    assert built.parts[0] is built.parts[1]["same"] is built.parts[2].inner
    assert len(built.parts[0].demos) == 1


async def test_a_forward_that_is_not_async_is_told_so() -> None:
    """The first mistake of everybody who comes from a synchronous library says what to write."""

    class Synchronous(Program):
        def forward(self, question: str) -> Any:
            return Prediction(answer=question)

    with pytest.raises(TypeError, match=r"Synchronous\.forward .* write `async def forward`"):
        await Synchronous()(question="x")
