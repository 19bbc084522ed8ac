"""Acting by code: a model that writes code in steps, with tools to call from it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Literal

from dspex.errors import ParseError
from dspex.programs.agents import (
    agent_signature,
    ask_within_memory,
    check_positive,
    extract_signature,
    shortened,
    with_details,
)
from dspex.programs.chain_of_thought import ChainOfThought
from dspex.programs.code.interpreter import Interpreter, run_code
from dspex.programs.code.monty import MontyInterpreter
from dspex.programs.predict import Predict
from dspex.programs.program import Program
from dspex.programs.tools.code_functions import CodeFunctions
from dspex.programs.tools.toolbox import Toolbox
from dspex.programs.trajectory import Step, Trajectory
from dspex.signatures.fields import Field, OutputField
from dspex.signatures.signature import Signature, SignatureLike, make_signature
from dspex.types.code import Code

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from dspex.clients.protocol import ModelClient
    from dspex.signatures.prediction import Prediction
    from dspex.types.tool import Tool

__all__ = ("CodeAct",)

_CODE: Final = Code[Literal["python"]]
_FINISHED: Field = OutputField(desc="whether all that is needed is known once this code has run")


class CodeAct(Program):
    """Lets a model write code step by step, which may call tools, until it knows enough.

        agent = CodeAct("question -> answer", tools=[search])

    Variables stay from step to step. What code prints, and what it does wrong, is what the model
    reads next. The prediction has the outputs, the `reasoning` before them, and the `trajectory`.

    Args:
        signature: a string, a Signature, or a class that declares one.
        tools: functions or Tools, called from the code by their names.
        max_steps: after so many the outputs are read from what there is.
        interpreter: None is a `MontyInterpreter` with its defaults.
        max_trajectory_chars: bounds what the model is shown of the steps so far; see `ReAct`.
        max_output_chars: bounds what one step shows.
        client: who answers; see `Predict`.

    Raises:
        ToolError: a tool cannot be one, or two have one name.
    """

    act: Predict
    extract: ChainOfThought
    toolbox: Toolbox
    interpreter: Interpreter
    max_steps: int
    max_trajectory_chars: int | None
    max_output_chars: int

    def __init__(
        self,
        signature: SignatureLike,
        tools: Iterable[Tool | Callable[..., Any]] = (),
        *,
        max_steps: int = 10,
        interpreter: Interpreter | None = None,
        max_trajectory_chars: int | None = None,
        max_output_chars: int = 20_000,
        client: ModelClient | str | None = None,
    ) -> None:
        check_positive(
            max_steps=max_steps,
            max_trajectory_chars=max_trajectory_chars,
            max_output_chars=max_output_chars,
        )
        task = make_signature(signature)
        self.toolbox = Toolbox.of(tools)
        self.toolbox.check_callable()
        self.interpreter = interpreter or MontyInterpreter()
        self.act = Predict(_act_signature(task, self.toolbox, self.interpreter), client=client)
        self.extract = ChainOfThought(extract_signature(task), client=client)
        self.max_steps = max_steps
        self.max_trajectory_chars = max_trajectory_chars
        self.max_output_chars = max_output_chars

    async def forward(self, **inputs: Any) -> Prediction:
        """Work in steps, then give the outputs."""
        whole = shown = Trajectory()
        functions = CodeFunctions(self.toolbox)
        async with self.interpreter.session(functions.by_name()) as session:
            for _ in range(self.max_steps):
                try:
                    asked, shown = await ask_within_memory(self.act, shown, inputs)
                except ParseError:
                    if not whole.steps:
                        raise

                    break  # what was found so far may be enough

                outcome = await run_code(session, str(asked["generated_code"]))
                functions.raise_fatal()
                output = shortened(outcome.shown(), self.max_output_chars)
                step = Step(code=str(asked["generated_code"]), output=output)
                whole = whole.with_step(step)
                shown = shown.with_step(step).within(self.max_trajectory_chars)
                if asked["finished"] and outcome.error is None:
                    break

        answer, _ = await ask_within_memory(self.extract, shown, inputs)
        return with_details(answer, trajectory=whole)

    def input_names(self) -> list[str]:
        """Return the names of the inputs it takes, in order."""
        return [name for name in self.act.input_names() if name != "trajectory"]


def _act_signature(task: Signature, toolbox: Toolbox, interpreter: Interpreter) -> Signature:
    # The tools stand with the field, so that an optimizer of instructions cannot lose them.
    desc = f"the code of the next step. {interpreter.notes}\n"
    if toolbox.tools:
        desc += f"It may call these functions:\n{toolbox.described()}\n"

    code: Field = OutputField(desc=desc)
    outputs = {"generated_code": (code, _CODE), "finished": (_FINISHED, bool)}
    return agent_signature(task, outputs, "write code that is run")
