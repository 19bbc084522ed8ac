"""Reasoning and acting: a model that calls tools, step by step, until it can answer."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from dspex.errors import ParseError
from dspex.programs.agents import (
    ask_within_memory,
    check_positive,
    extract_signature,
    shortened,
    with_details,
)
from dspex.programs.chain_of_thought import ChainOfThought
from dspex.programs.program import Program
from dspex.programs.react_native import FINISH
from dspex.programs.react_step import NextStep, calls_of, step_signature
from dspex.programs.tools.toolbox import Toolbox
from dspex.programs.trajectory import Step, Trajectory
from dspex.signatures.signature import SignatureLike, make_signature

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from dspex.clients.protocol import ModelClient
    from dspex.signatures.prediction import Prediction
    from dspex.types.tool import Tool
    from dspex.types.tool_calls import ToolCalls, ToolResult

__all__ = ("ReAct",)


class ReAct(Program):
    """Lets a model call tools until it knows enough, then reads the outputs from what it found.

        agent = ReAct("question -> answer", tools=[search, weather])
        prediction = await agent(question="...")
        print(prediction.trajectory)

    Where the endpoint has tool calling it is used, with several calls in one turn at the same time,
    and the model sees its own turns unchanged; elsewhere the model writes `next_thought`,
    `next_tool_name` and `next_tool_args`. Whatever goes wrong with a call (an unknown tool, wrong
    arguments, an exception, a timeout) is what the model reads next. The prediction has the
    outputs, the `reasoning` before them, and the `trajectory`.

    Args:
        signature: a string, a Signature, or a class that declares one.
        tools: functions or Tools.
        max_steps: after so many the outputs are read from what there is.
        native: None uses tool calling where there is any; False never does.
        max_concurrency: how many calls of one turn run at a time.
        max_trajectory_chars: bounds what the model is shown of the steps so far, by leaving out
            the oldest whole steps; they are left out as well when the model cannot hold them.
        max_observation_chars: bounds what a tool gave in one call.
        client: who answers; see `Predict`.

    Raises:
        ToolError: a tool cannot be one, or two have one name.
    """

    react: NextStep
    extract: ChainOfThought
    max_steps: int
    max_concurrency: int
    max_trajectory_chars: int | None
    max_observation_chars: int

    def __init__(
        self,
        signature: SignatureLike,
        tools: Iterable[Tool | Callable[..., Any]],
        *,
        max_steps: int = 20,
        native: bool | None = None,
        max_concurrency: int = 8,
        max_trajectory_chars: int | None = None,
        max_observation_chars: int = 20_000,
        client: ModelClient | str | None = None,
    ) -> None:
        check_positive(
            max_steps=max_steps,
            max_concurrency=max_concurrency,
            max_trajectory_chars=max_trajectory_chars,
            max_observation_chars=max_observation_chars,
        )
        task = make_signature(signature)
        toolbox = Toolbox.of(tools)
        toolbox.check_free(FINISH)
        self.react = NextStep(
            step_signature(task, toolbox), toolbox.tools, native=native, client=client
        )
        self.extract = ChainOfThought(extract_signature(task), client=client)
        self.max_steps = max_steps
        self.max_concurrency = max_concurrency
        self.max_trajectory_chars = max_trajectory_chars
        self.max_observation_chars = max_observation_chars

    async def forward(self, **inputs: Any) -> Prediction:
        """Work in steps, then give the outputs."""
        whole = shown = Trajectory()
        for _ in range(self.max_steps):
            try:
                asked, shown = await ask_within_memory(self.react, shown, inputs)
            except ParseError:
                if not whole.steps:
                    raise

                break  # what was found so far may be enough

            step = await self._acted(asked)
            whole, shown = whole.with_step(step), shown.with_step(step)
            if not step.calls:
                break

            shown = shown.within(self.max_trajectory_chars)

        answer, _ = await ask_within_memory(self.extract, shown, inputs)
        return with_details(answer, trajectory=whole)

    def input_names(self) -> list[str]:
        """Return the names of the inputs it takes, in order."""
        return [name for name in self.extract.input_names() if name != "trajectory"]

    async def _acted(self, asked: Prediction) -> Step:
        calls: ToolCalls = calls_of(asked)
        thought = asked["next_thought"] or ""
        if any(call.name == FINISH for call in calls.calls):
            # What it calls beside that has no reader any more.
            return Step(thought)

        results = await self.react.toolbox.run(calls.calls, max_concurrency=self.max_concurrency)
        return Step(
            thought,
            calls=calls.calls,
            results=tuple(self._bounded(result) for result in results),
            message=calls.message,
        )

    def _bounded(self, result: ToolResult) -> ToolResult:
        text = result.text
        if len(text) <= self.max_observation_chars:
            return result

        return replace(result, value=shortened(text, self.max_observation_chars))
