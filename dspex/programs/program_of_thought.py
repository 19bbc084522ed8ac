"""Answering by writing a program, running it, and reading the answer from what it gave."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final, Literal

from dspex.programs.agents import check_positive, shortened, with_details
from dspex.programs.chain_of_thought import ChainOfThought
from dspex.programs.code.interpreter import CodeOutcome, Interpreter, run_code
from dspex.programs.code.monty import MontyInterpreter
from dspex.programs.program import Program
from dspex.signatures.fields import Field, InputField, OutputField
from dspex.signatures.signature import Signature, SignatureLike, make_signature
from dspex.types.code import Code

if TYPE_CHECKING:
    from dspex.clients.protocol import ModelClient
    from dspex.signatures.prediction import Prediction

__all__ = ("ProgramOfThought",)

_CODE: Final = Code[Literal["python"]]
_GENERATED: Field = OutputField(desc="a complete program that prints all that is needed")
_PREVIOUS: Field = InputField(desc="the program that failed")
_ERROR: Field = InputField(desc="how it failed")
_FINAL: Field = InputField(desc="the program that was run")
_OUTPUT: Field = InputField(desc="what it printed and gave")


class ProgramOfThought(Program):
    """Has the model write code, runs it in a sandbox, and reads the outputs from what it gave.

        solve = ProgramOfThought("question -> answer: int")

    Code that fails is shown to the model with its error and written anew. The prediction has the
    outputs, the `reasoning` before them, the `code` and what it gave, as `code_output`.

    Args:
        signature: a string, a Signature, or a class that declares one.
        max_iterations: how often code is written; the outputs are read from the last run even if
            it failed.
        interpreter: None is a `MontyInterpreter` with its defaults.
        max_output_chars: bounds what the model is shown of the output.
        client: who answers; see `Predict`.
    """

    generate: ChainOfThought
    repair: ChainOfThought
    extract: ChainOfThought
    interpreter: Interpreter
    max_iterations: int
    max_output_chars: int

    def __init__(
        self,
        signature: SignatureLike,
        *,
        max_iterations: int = 3,
        interpreter: Interpreter | None = None,
        max_output_chars: int = 20_000,
        client: ModelClient | str | None = None,
    ) -> None:
        check_positive(max_iterations=max_iterations, max_output_chars=max_output_chars)
        task = make_signature(signature)
        self.interpreter = interpreter or MontyInterpreter()
        written = _code_signature(task, self.interpreter.notes)
        self.generate = ChainOfThought(written, client=client)
        self.repair = ChainOfThought(_repair_signature(written), client=client)
        self.extract = ChainOfThought(
            task.append("final_code", _FINAL, _CODE).append("code_output", _OUTPUT, str),
            client=client,
        )
        self.max_iterations = max_iterations
        self.max_output_chars = max_output_chars

    async def forward(self, **inputs: Any) -> Prediction:
        """Write code and run it until it succeeds, then give the outputs."""
        code = (await self.generate(**inputs))["generated_code"]
        outcome = await self._outcome_of(code)
        for _ in range(self.max_iterations - 1):
            if outcome.error is None:
                break

            error = shortened(outcome.shown(), self.max_output_chars)
            fixed = await self.repair(**inputs, previous_code=code, error=error)
            code = fixed["generated_code"]
            outcome = await self._outcome_of(code)

        shown = shortened(outcome.shown(), self.max_output_chars)
        answer = await self.extract(**inputs, final_code=code, code_output=shown)
        return with_details(answer, code=str(code), code_output=shown)

    def input_names(self) -> list[str]:
        """Return the names of the inputs it takes, in order."""
        return self.generate.input_names()

    async def _outcome_of(self, code: str) -> CodeOutcome:
        async with self.interpreter.session() as session:
            return await run_code(session, str(code))


def _code_signature(task: Signature, notes: str) -> Signature:
    outputs = ", ".join(f"`{name}`" for name in task.output_fields)
    instructions = (
        f"{task.instructions}\n\nWrite a program that works out {outputs} and prints them. It runs "
        f"by itself, with no variables set.\n{notes}"
    )
    fields = task.input_fields.values()
    generated = replace(_GENERATED, name="generated_code", annotation=_CODE)
    return Signature.from_fields((*fields, generated), instructions)


def _repair_signature(written: Signature) -> Signature:
    return (
        written.append("previous_code", _PREVIOUS, _CODE)
        .append("error", _ERROR, str)
        .append_instructions("\nThe program before failed: write it anew, without the mistake.")
    )
