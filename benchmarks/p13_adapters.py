"""P13: writing a prompt and reading its answer, over a bare f-string and a regular expression.

A ChainOfThought with two text fields and four demonstrations. The bare version writes the same
conversation, demonstrations included, and cuts the answer at its headers; it checks nothing. Ours
prepares as a predictor does, with its demonstrations rendered beforehand.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

from benchmarks.figures import Aim, Figure
from benchmarks.measuring import Cost, Pairs, interleave, measure
from benchmarks.programs import chain_of_thought
from benchmarks.settings import Setting
from dspex.adapters import Adapter, ChatAdapter, JSONAdapter, XMLAdapter, render_answer
from dspex.messages import Compat, Sampling
from dspex.signatures.example import Example

__all__ = ("measure_aim",)

_CALLS: Final = 20_000
_AIM: Final = Aim("<=", 4.0)
_SIGNATURE: Final = chain_of_thought().signature
_COMPAT: Final = Compat()
_SAMPLING: Final = Sampling()
_DEMOS: Final = [
    Example(
        question=f"How much are {number} apples and {number} pears?",
        reasoning="Fruit can be counted together, so the two numbers are added. " * 3,
        answer=f"{2 * number} pieces of fruit",
    )
    for number in range(4)
]
_VALUES: Final = {
    "reasoning": "First the numbers are read, then they are added, then checked." * 6,
    "answer": "7 pieces of fruit",
}
_TEXT: Final = render_answer(_SIGNATURE, _VALUES)
_HEADER: Final = re.compile(r"^\[\[ ## (\w+) ## \]\]", re.MULTILINE)


async def measure_aim(setting: Setting) -> list[Figure]:
    """Measure P13: the default adapter against its aim, the others beside it."""
    return [
        await _figure(setting, ChatAdapter(), _TEXT, _AIM),
        await _figure(setting, JSONAdapter(), _json_text(), None),
        await _figure(setting, XMLAdapter(), _xml_text(), None),
    ]


async def _figure(setting: Setting, adapter: Adapter, text: str, aim: Aim | None) -> Figure:
    calls = setting.scaled(_CALLS)
    fitted = adapter.fitted(_SIGNATURE, _COMPAT, _SAMPLING)
    prefix = fitted.prefix(_SIGNATURE, _DEMOS)

    def ours(number: int) -> object:
        chosen = adapter.fitted(_SIGNATURE, _COMPAT, _SAMPLING)
        chosen.prepare(
            _SIGNATURE,
            _DEMOS,
            {"question": f"How much are {number} apples and 3 pears?"},
            capabilities=_COMPAT,
            sampling=_SAMPLING,
            prefix=prefix,
        )
        return chosen.parse(_SIGNATURE, text)

    assert ours(4) == _VALUES, "not the values that were written"
    pairs = await _in_turns(ours, calls, setting.pairs)
    return Figure(
        "P13",
        f"{type(adapter).__name__}: prepare and parse, two fields, four demos, CPU per call",
        pairs.ratio,
        "x",
        aim,
        reference=f"{sorted(pairs.reference)[len(pairs.reference) // 2]:.1f} us",
        subject=f"{sorted(pairs.subject)[len(pairs.subject) // 2]:.1f} us",
        samples={"reference_us": pairs.reference, "subject_us": pairs.subject},
    )


async def _in_turns(ours: Callable[[int], object], calls: int, pairs: int) -> Pairs:
    async def work(function: Callable[[int], object]) -> Cost:
        async def run() -> None:
            for number in range(calls):
                function(number)

        return await measure(calls, run)

    return await interleave(
        lambda _: work(_bare), lambda _: work(ours), pairs=pairs, value=lambda c: c.cpu_us_per_call
    )


def _bare(number: int) -> object:
    """Write the conversation and cut the answer, as a script would."""
    messages = [{"role": "system", "content": "Answer the question."}]
    for demo in _DEMOS:
        question, reasoning, answer = demo["question"], demo["reasoning"], demo["answer"]
        messages.append({"role": "user", "content": f"[[ ## question ## ]]\n{question}"})
        messages.append(
            {
                "role": "assistant",
                "content": f"[[ ## reasoning ## ]]\n{reasoning}\n\n[[ ## answer ## ]]\n{answer}\n\n"
                "[[ ## completed ## ]]\n",
            }
        )

    question = f"How much are {number} apples and 3 pears?"
    messages.append(
        {
            "role": "user",
            "content": f"[[ ## question ## ]]\n{question}\n\nAnswer with the fields `reasoning`, "
            "then `answer`, and end with the marker `[[ ## completed ## ]]`.",
        }
    )
    parts = _HEADER.split(_TEXT)
    fields = dict(zip(parts[1::2], parts[2::2], strict=True))
    return messages, {name: value.strip() for name, value in fields.items() if value.strip()}


def _json_text() -> str:
    return JSONAdapter().answer_text(tuple(_SIGNATURE.output_fields.values()), _VALUES)


def _xml_text() -> str:
    return XMLAdapter().answer_text(tuple(_SIGNATURE.output_fields.values()), _VALUES)
