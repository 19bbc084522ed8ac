"""The model writes its own signature and test cases; they are run before anything is trusted."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass
from typing import TYPE_CHECKING, Any

from dspex.adapters.outputs import Output
from dspex.errors import AnswerRejected, InputError, ParseError, SignatureError
from dspex.programs.chain_of_thought import ChainOfThought
from dspex.programs.predict import Predict
from dspex.programs.program import Program
from dspex.programs.sampling import run_all
from dspex.programs.voting import plain_text
from dspex.signatures.fields import Field, InputField, OutputField
from dspex.signatures.prediction import Prediction
from dspex.signatures.signature import Signature

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dspex.clients.protocol import ModelClient

__all__ = ("Scaffold", "ScaffoldCase", "SelfScaffolding")

_PROBLEMS: Field = InputField(desc="what was wrong with the scaffolds before; empty at first")
_SIGNATURE: Field = OutputField(
    desc="the fields as `input: type, ... -> output: type, ...` with Python types, such as "
    "`ticket: str -> team: Literal['billing', 'network'], urgent: bool`"
)
_INSTRUCTIONS: Field = OutputField(desc="what to do with the inputs, complete and in plain words")
_CASES: Field = OutputField(
    desc="test cases whose right outputs are beyond doubt; each an object with `inputs` and "
    "`expected`, both objects by field name"
)


@dataclass(frozen=True, slots=True)
class ScaffoldCase:
    """Inputs, and the outputs that a scaffold must give for them."""

    inputs: dict[str, Any]
    expected: dict[str, Any]


_DESIGN = (
    Signature(
        "task -> signature",
        "Design a signature for the task: typed inputs and outputs, instructions, and test cases.",
    )
    .append("problems", _PROBLEMS, list[str])
    .with_updated_field("signature", desc=_SIGNATURE.desc)
    .append("instructions", _INSTRUCTIONS)
    .append("cases", _CASES, list[ScaffoldCase])
)


@dataclass(frozen=True, slots=True)
class Scaffold:
    """A program that the model designed, the cases it passed, and how many designs it took."""

    program: Predict
    _: KW_ONLY
    cases: tuple[ScaffoldCase, ...]
    attempts: int


class SelfScaffolding(Program):
    """Has the model design a program for a task, and uses it only once it passes its own cases.

        scaffold = await SelfScaffolding().build("Route a support ticket to a team.")
        prediction = await scaffold.program(ticket="My router is dead")

    The model writes a signature, instructions and test cases. The signature must be one, the cases
    must fit it, and the program must give their expected outputs. What is wrong goes back to the
    model, up to `max_repairs` times; then the scaffold is refused, with the cases shown. Called as
    a program it designs, checks and answers in one go.

    Args:
        min_cases: how many test cases there must be.
        max_repairs: how often a design may be mended.
        client: who designs and answers; see `Predict`.
    """

    design: ChainOfThought
    client: ModelClient | str | None
    min_cases: int
    max_repairs: int

    def __init__(
        self,
        *,
        min_cases: int = 2,
        max_repairs: int = 2,
        client: ModelClient | str | None = None,
    ) -> None:
        if min_cases < 1 or max_repairs < 0:
            raise ValueError(
                "a scaffold needs min_cases >= 1 and max_repairs >= 0, got "
                f"{min_cases!r} and {max_repairs!r}"
            )

        self.design = ChainOfThought(_DESIGN, client=client)
        self.client = client
        self.min_cases = min_cases
        self.max_repairs = max_repairs

    async def forward(self, task: str, inputs: Mapping[str, Any]) -> Prediction:
        """Design a program for the task and answer the inputs with it."""
        scaffold = await self.build(task)
        return await scaffold.program(**inputs)

    async def build(self, task: str) -> Scaffold:
        """Return a scaffold that has passed its own cases.

        Raises:
            AnswerRejected: none did; it holds each design with what was wrong, cases and all.
        """
        rejected = list[tuple[Prediction, str]]()
        problems = list[str]()
        while len(rejected) <= self.max_repairs:
            design = await self.design(task=task, problems=problems)
            program, problems = await self._check(design)
            if program is not None and not problems:
                return Scaffold(program, cases=tuple(design.cases), attempts=len(rejected) + 1)

            rejected.append((design, "; ".join(problems)))

        raise AnswerRejected(
            f"no scaffold for {task!r} passed its own cases; the last of {len(rejected)}, "
            f"{rejected[-1][0].signature!r}, failed: {rejected[-1][1]}",
            tuple(rejected),
        )

    async def _check(self, design: Prediction) -> tuple[Predict | None, list[str]]:
        """Return the program of a design, and everything that is wrong with it."""
        try:
            signature = Signature(design.signature, design.instructions)
        except SignatureError as exc:
            return None, [f"the signature {design.signature!r} is none: {exc}"]

        problems = [text for case in design.cases for text in _misfits(signature, case)]
        if len(design.cases) < self.min_cases:
            problems.append(f"{len(design.cases)} cases are given, {self.min_cases} are needed")

        if problems:
            return None, problems

        program = Predict(signature, client=self.client)
        failures = await run_all(lambda case: _failure(program, case), design.cases, name="case")
        return program, [text for text in failures if text is not None]


def _misfits(signature: Signature, case: ScaffoldCase) -> list[str]:
    problems = list[str]()
    try:
        signature.bind(case.inputs)
    except InputError as exc:
        problems.append(f"the inputs of {case} do not fit: {exc}")

    if case.expected.keys() != signature.output_fields.keys():
        problems.append(
            f"{case} expects {sorted(case.expected)}, the outputs are "
            f"{sorted(signature.output_fields)}"
        )

    for name, value in case.expected.items():
        try:
            _ = name in signature.output_fields and _typed(signature, name, value)
        except ValueError as exc:
            problems.append(f"{case}: no {name} can be {value!r}: {exc}")

    return problems


async def _failure(program: Predict, case: ScaffoldCase) -> str | None:
    try:
        prediction = await program(**case.inputs)
    except ParseError as exc:
        return f"{case} could not be answered: {exc.problem}"

    signature = program.signature
    expected = {name: _typed(signature, name, value) for name, value in case.expected.items()}
    wrong = [
        f"{name} is {prediction[name]!r} and not {value!r}"
        for name, value in expected.items()
        if prediction[name] != value and plain_text(prediction[name]) != plain_text(value)
    ]
    return f"{case}: {', '.join(wrong)}" if wrong else None


def _typed(signature: Signature, name: str, value: Any) -> Any:
    """Return an expected value as the type of its field, read as generously as an answer."""
    return Output.of(signature.output_fields[name], native=False).value_of(value)
