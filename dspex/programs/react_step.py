"""The predictor of an agent's next step, by native tool calling or by text."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from dspex.messages import Sampling
from dspex.programs.agents import agent_signature
from dspex.programs.predict import Predict
from dspex.programs.react_native import FINISH, NativeSteps
from dspex.programs.tools.toolbox import Toolbox
from dspex.programs.two_step import TwoStep
from dspex.signatures.fields import Field, OutputField
from dspex.types.tool_calls import ToolCalls

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from dspex.adapters.protocol import Adapter
    from dspex.clients.protocol import ModelClient
    from dspex.programs.exchange import Exchange
    from dspex.programs.program import Demos
    from dspex.signatures.prediction import Prediction
    from dspex.signatures.signature import Signature
    from dspex.types.tool import Tool

__all__ = ("NextStep", "calls_of", "step_signature")

_SAMPLING: Final = Sampling()
_THOUGHT: Field = OutputField(desc="what is known, what is missing, and what to do about it")
_ARGUMENTS: Field = OutputField(
    desc="the arguments of that tool, as a JSON object by name; {} for none"
)


class NextStep(Predict):
    """Asks which tools to call next.

    Where the endpoint has tool calling, the model calls tools with it, as many in one turn as it
    likes; elsewhere it writes one tool's name and arguments.

    Args:
        signature: made by `step_signature`.
        tools: those that may be called.
        native: None uses tool calling where there is any; False never does.
        settings: those of `Predict`.
    """

    toolbox: Toolbox
    native: bool | None

    def __init__(
        self,
        signature: Signature,
        tools: Iterable[Tool | Callable[..., Any]],
        *,
        native: bool | None = None,
        client: ModelClient | str | None = None,
        adapter: Adapter | TwoStep | None = None,
        demos: Demos = (),
        config: Sampling = _SAMPLING,
        max_repairs: int = 1,
    ) -> None:
        super().__init__(
            signature,
            client=client,
            adapter=adapter,
            demos=demos,
            config=config,
            max_repairs=max_repairs,
        )
        self.toolbox = Toolbox.of(tools)
        self.native = native

    def _exchange(
        self, client: ModelClient, adapter: Adapter, signature: Signature, config: Sampling
    ) -> Exchange:
        exchange = super()._exchange(client, adapter, signature, config)
        # A second model that reads the first one's text has no place where tools are called.
        wanted = client.compat.tools if self.native is None else self.native
        if not wanted or isinstance(self.adapter, TwoStep):
            return exchange

        specs = tuple(tool.spec() for tool in self.toolbox.tools)
        steps = NativeSteps(specs, images=client.compat.images != "none")
        return replace(exchange, adapter=steps)


def step_signature(task: Signature, toolbox: Toolbox) -> Signature:
    """Return the signature of one step towards the outputs of a task.

    The tools stand in the description of the field that names one, so that an optimizer that
    rewrites the instructions cannot lose them.
    """
    name: Field = OutputField(
        desc=f"the tool to call next: one of those below, or `{FINISH}`, without arguments, when "
        f"everything is known\n{toolbox.described()}\n"
    )
    outputs = {
        "next_thought": (_THOUGHT, str),
        "next_tool_name": (name, str),
        "next_tool_args": (_ARGUMENTS, dict[str, Any]),
    }
    return agent_signature(task, outputs, "call tools")


def calls_of(step: Prediction) -> ToolCalls:
    """Return the calls of a step; none if it finishes."""
    if "calls" in step:
        calls: ToolCalls = step["calls"]
        return calls

    # No tool's name has quotes or brackets, and models like to write them around it.
    name = (step["next_tool_name"] or "").strip("`'\" ").removesuffix("()")
    if name == FINISH:
        return ToolCalls()

    call = {"name": name or "(none)", "arguments": step["next_tool_args"]}
    return ToolCalls.from_json([call])
