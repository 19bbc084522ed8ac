"""Long inputs explored through code: the model sees what they look like, and asks for parts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from dspex.errors import ParseError
from dspex.programs.agents import ask_within_memory, check_positive, shortened, with_details
from dspex.programs.chain_of_thought import ChainOfThought
from dspex.programs.code.interpreter import Interpreter, run_code
from dspex.programs.code.monty import MontyInterpreter
from dspex.programs.predict import Predict
from dspex.programs.program import Program
from dspex.programs.rlm_signatures import act_signature, answer_signature, described_variables
from dspex.programs.rlm_work import Work
from dspex.programs.tools.toolbox import Toolbox
from dspex.programs.trajectory import Step, Trajectory
from dspex.signatures.encoding import to_jsonable
from dspex.signatures.prediction import Prediction
from dspex.signatures.signature import SignatureLike, make_signature

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from dspex.clients.protocol import ModelClient
    from dspex.types.tool import Tool

__all__ = ("RLM",)

_RESERVED: Final = ("llm_query", "llm_query_batched", "SUBMIT")


class RLM(Program):
    """Answers about inputs too long for a prompt: a recursive language model.

        ask = RLM("context, question -> answer")
        await ask(context=a_million_characters, question="...")

    The inputs are variables of an interpreter, of which the model sees types, sizes and beginnings.
    It writes code, step by step, that looks at them, asks a model about parts of them with
    `llm_query(prompt)` and `llm_query_batched(prompts)`, and ends with `SUBMIT(...)` of the
    outputs, which are checked there and then. After Zhang, Kraska and Khattab, "Recursive Language
    Models" (2025). The prediction has the outputs and the `trajectory`.

    Args:
        signature: a string, a Signature, or a class that declares one.
        tools: functions or Tools that the code may call as well.
        max_iterations: after so many steps the outputs are read from what there is.
        max_llm_calls: of `llm_query` and each of `llm_query_batched`, in one call.
        max_concurrency: how many of a batch run at a time.
        max_output_chars: bounds what one step shows the model.
        interpreter: None is a `MontyInterpreter` with its defaults.
        client: who writes the code; see `Predict`.
        sub_client: who answers `llm_query`; None is `client`.

    Raises:
        ToolError: a tool cannot be one, or has the name of another or of a function above.
    """

    act: Predict
    query: Predict
    answer: ChainOfThought
    toolbox: Toolbox
    interpreter: Interpreter
    max_iterations: int
    max_llm_calls: int
    max_concurrency: int
    max_output_chars: int

    def __init__(
        self,
        signature: SignatureLike,
        *,
        tools: Iterable[Tool | Callable[..., Any]] = (),
        max_iterations: int = 20,
        max_llm_calls: int = 50,
        max_concurrency: int = 16,
        max_output_chars: int = 10_000,
        interpreter: Interpreter | None = None,
        client: ModelClient | str | None = None,
        sub_client: ModelClient | str | None = None,
    ) -> None:
        check_positive(
            max_iterations=max_iterations,
            max_llm_calls=max_llm_calls,
            max_concurrency=max_concurrency,
            max_output_chars=max_output_chars,
        )
        task = make_signature(signature)
        self.toolbox = Toolbox.of(tools)
        self.toolbox.check_callable()
        self.toolbox.check_free(*_RESERVED, *task.input_fields)
        self.interpreter = interpreter or MontyInterpreter()
        asked = act_signature(task, self.toolbox, self.interpreter.notes, max_llm_calls)
        self.act = Predict(asked, client=client)
        self.query = Predict("prompt -> response", client=sub_client or client)
        self.answer = ChainOfThought(answer_signature(task), client=client)
        self.max_iterations = max_iterations
        self.max_llm_calls = max_llm_calls
        self.max_concurrency = max_concurrency
        self.max_output_chars = max_output_chars
        self._task = task

    async def forward(self, **inputs: Any) -> Prediction:
        """Explore the inputs, then give the outputs."""
        values = {name: to_jsonable(value) for name, value in self._task.bind(inputs).items()}
        about = {"variables": described_variables(self._task, values)}
        work = Work(self, self._task)
        whole = shown = Trajectory()
        async with self.interpreter.session(work.functions()) as session:
            fresh = True
            for _ in range(self.max_iterations):
                try:
                    asked, shown = await ask_within_memory(self.act, shown, about)
                except ParseError:
                    if not whole.steps:
                        raise

                    break  # what was found so far may be enough

                code = str(asked["code"])
                outcome = await run_code(session, code, values if fresh else None)
                work.raise_fatal()
                output = shortened(outcome.shown(), self.max_output_chars)
                step = Step(asked["reasoning"], code=code, output=output)
                whole, shown = whole.with_step(step), shown.with_step(step)
                if work.submitted is not None:
                    return Prediction.of({**work.submitted, "trajectory": whole})

                fresh = outcome.lost

        answer, _ = await ask_within_memory(self.answer, shown, about)
        return with_details(answer, trajectory=whole)

    def input_names(self) -> list[str]:
        """Return the names of the inputs it takes, in order."""
        return list(self._task.input_fields)
