"""ModuleActor: a program as a process that serves many calls and stays reachable."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from dspex.errors import InputError
from dspex.messages import Request
from dspex.programs.module_actor import ModuleActor
from dspex.programs.predict import Predict
from dspex.signatures.example import Example
from dspex.testing.models import ScriptedModel
from dspex.usage import Usage
from supervision import ChildSpec, Registry, Supervisor
from supervision.errors import MailboxFull, ServerDied
from supervision.testing import crash, wait_restarted

ONE = Usage(calls=1, input_tokens=10, output_tokens=1)


def predict(model: ScriptedModel) -> Predict:
    return Predict("question -> answer", client=model)


def echo(request: Request) -> Any:
    return {"answer": "a"}


def module(model: ScriptedModel, *bounds: int, name: Any = None) -> ChildSpec:
    return ChildSpec("qa", ModuleActor, args=(predict(model), *bounds), name=name)


class TestModuleActor:
    async def test_it_answers_under_its_name(self) -> None:
        """A registry finds it; calls go by ref."""
        registry = Registry()
        async with Supervisor([module(ScriptedModel(echo), name=registry.via("qa"))]):
            ref = registry.whereis("qa")
            assert ref is not None
            prediction = await ref.call(ModuleActor.ask, {"question": "?"}, timeout=5.0)
            assert prediction.answer == "a"

    async def test_calls_run_side_by_side_within_the_bound(self) -> None:
        """The mailbox serialises nothing."""
        model = ScriptedModel(echo, latency_s=0.001)
        async with Supervisor([module(model, 4)]) as root, asyncio.TaskGroup() as group:
            ref = root.ref("qa", ModuleActor)
            for _ in range(10):
                group.create_task(ref.call(ModuleActor.ask, {"question": "?"}))

        assert (model.calls, model.max_in_flight) == (10, 4)

    @pytest.mark.parametrize("inputs", [None, 5, "question", ["question"], {1: "?"}])
    async def test_inputs_without_names_are_the_caller_s_mistake(self, inputs: Any) -> None:
        """The module lives on, and the calls of others with it."""
        model = ScriptedModel(echo, latency_s=0.001)
        async with Supervisor([module(model)]) as root, asyncio.TaskGroup() as group:
            ref = root.ref("qa", ModuleActor)
            pid = ref.pid
            other = group.create_task(ref.call(ModuleActor.ask, {"question": "?"}))
            with pytest.raises(InputError, match="inputs are"):
                await ref.call(ModuleActor.ask, inputs)

            assert (await other).answer == "a"
            statistics = await ref.call(ModuleActor.measure)
            assert (statistics.calls, statistics.in_flight, ref.pid) == (1, 0, pid)

    async def test_an_example_gives_its_inputs(self) -> None:
        """As it does in a batch."""
        async with Supervisor([module(ScriptedModel(echo))]) as root:
            ref = root.ref("qa", ModuleActor)
            example = Example(question="?", answer="known").with_inputs("question")
            assert (await ref.call(ModuleActor.ask, example)).answer == "a"

    async def test_metrics_answer_while_calls_run(self) -> None:
        """And count what has ended, with its usage."""
        going = asyncio.Event()

        async def wait(request: Request) -> Any:
            await going.wait()
            return {"answer": "a"}

        model = ScriptedModel(wait, usage_per_call=ONE)
        async with Supervisor([module(model)]) as root, asyncio.TaskGroup() as group:
            ref = root.ref("qa", ModuleActor)
            call = group.create_task(ref.call(ModuleActor.ask, {"question": "?"}))
            await asyncio.sleep(0)
            assert (await ref.call(ModuleActor.measure)).in_flight == 1
            going.set()
            await call
            now = await ref.call(ModuleActor.measure)
            assert (now.calls, now.succeeded, now.failed, now.in_flight) == (1, 1, 0, 0)
            assert now.usage.calls == 1

    async def test_a_failed_call_raises_in_its_caller_alone(self) -> None:
        """The module lives on."""
        async with Supervisor([module(ScriptedModel(echo))]) as root:
            ref = root.ref("qa", ModuleActor)
            with pytest.raises(InputError):
                await ref.call(ModuleActor.ask, {"wrong": 1})

            assert (await ref.call(ModuleActor.ask, {"question": "?"})).answer == "a"
            assert (await ref.call(ModuleActor.measure)).failed == 1

    async def test_too_many_calls_are_refused_at_once(self) -> None:
        """Neither queued without end nor lost in silence."""
        model = ScriptedModel(echo, latency_s=0.01)
        async with Supervisor([module(model, 1, 1)]) as root, asyncio.TaskGroup() as group:
            ref = root.ref("qa", ModuleActor)
            calls = [
                group.create_task(ref.call(ModuleActor.ask, {"question": "?"})) for _ in range(2)
            ]
            await asyncio.sleep(0)
            with pytest.raises(MailboxFull):
                await ref.call(ModuleActor.ask, {"question": "?"})

            assert [(await call).answer for call in calls] == ["a", "a"]
            assert (await ref.call(ModuleActor.measure)).refused == 1

    async def test_who_waits_no_more_is_not_served(self) -> None:
        """A caller that gave up in the queue costs no model call."""
        model = ScriptedModel(echo, latency_s=0.01)
        async with Supervisor([module(model, 1)]) as root:
            ref = root.ref("qa", ModuleActor)
            async with asyncio.TaskGroup() as group:
                first = group.create_task(ref.call(ModuleActor.ask, {"question": "?"}))
                second = group.create_task(ref.call(ModuleActor.ask, {"question": "?"}))
                await asyncio.sleep(0)
                second.cancel()
                await first

            assert (await ref.call(ModuleActor.ask, {"question": "?"})).answer == "a"
            assert model.calls == 2

    async def test_its_program_can_be_swapped(self) -> None:
        """The next call is answered by the new one."""
        async with Supervisor([module(ScriptedModel(echo))]) as root:
            ref = root.ref("qa", ModuleActor)
            other = predict(ScriptedModel(lambda _: {"answer": "b"}))
            await ref.call(ModuleActor.swap, other)
            assert (await ref.call(ModuleActor.ask, {"question": "?"})).answer == "b"

    async def test_a_crash_ends_its_calls_and_a_new_one_serves(self) -> None:
        """Callers learn of it at once."""

        async def never(request: Request) -> Any:
            await asyncio.Event().wait()

        async with Supervisor([module(ScriptedModel(never))]) as root:
            ref = root.ref("qa", ModuleActor)
            async with asyncio.TaskGroup() as group:
                call = group.create_task(_outcome(ref.call(ModuleActor.ask, {"question": "?"})))
                await asyncio.sleep(0)
                pid = crash(root.ref("qa"), OSError("gone"))
                assert isinstance(await call, ServerDied)

            await wait_restarted(root.ref("qa"), pid)
            assert (await ref.call(ModuleActor.measure)).calls == 0

    def test_impossible_bounds(self) -> None:
        """Refused with the values."""
        with pytest.raises(ValueError, match="max_concurrency=0"):
            ModuleActor(predict(ScriptedModel(echo)), 0)


async def _outcome(call: Any) -> object:
    try:
        return await call
    except ServerDied as exc:
        return exc
