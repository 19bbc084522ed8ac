"""Answer a chat request, whatever wire it came on: the script's words, calls, or the model's.

The model is a nearest-neighbour reader and calls no tool by itself. It calls one where the script
has a turn for it (`Script.tool_calls`), and where the request insists on a call: then the first of
the tools it may choose from, with arguments made from the tool's schema (`dspex.sandbox.filling`):
defaults, first enum members, zeros, and the last user message for strings.
"""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING, Any, Final, cast

import orjson

from dspex.sandbox.exchange import (
    CHARS_PER_TOKEN,
    Call,
    Choice,
    Finish,
    Reply,
    Usage,
    count_tokens,
)
from dspex.sandbox.filling import Filling, same_json

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dspex.sandbox.exchange import Ask
    from dspex.sandbox.model import SandboxModel
    from dspex.sandbox.options import ToolTurn
    from dspex.sandbox.script import Script

__all__ = ("answer_ask", "turn_of")

_MAX_ARGUMENT_CHARS: Final = 200


def answer_ask(
    model: SandboxModel, script: Script, ask: Ask, *, model_seed: int, number: int
) -> Reply:
    """Return the answer to `ask`; `number` makes its id and nothing else."""
    turn = turn_of(script.tool_calls, ask.tool_results) if ask.tools else None
    seed = model_seed if ask.seed is None else ask.seed
    choices: list[Choice] = []
    for sample in range(ask.choices):
        calls = _calls(turn, ask)
        text = turn.text if turn else "" if calls else _text(model, script, ask, seed, sample)
        choices.append(_limited(text, calls, ask, script.reasoning.text if ask.thinks else ""))

    return Reply(
        ask,
        choices,
        _usage(ask, choices, script.cached_share),
        number=number,
        piece_chars=script.stream.chunk_tokens * CHARS_PER_TOKEN,
        reasoning_field=script.reasoning.field,
    )


def turn_of(turns: Sequence[ToolTurn], results: int) -> ToolTurn | None:
    """Return the turn after so many results of calls; None when all have been played.

    A turn is over when all of its calls have been answered; one without calls is the last.
    """
    for turn in turns:
        if results <= 0:
            return turn

        if not turn.calls:
            return None

        results -= len(turn.calls)

    return None


def _calls(turn: ToolTurn | None, ask: Ask) -> tuple[Call, ...]:
    """Return the calls to make: those of the turn, or the one that the request insists on."""
    if turn is not None:
        wanted = [(call.name, dict(call.arguments)) for call in turn.calls]
    elif ask.must_call:
        name = ask.must_call[0]
        schema = next(tool.parameters for tool in ask.tools if tool.name == name)
        wanted = [(name, _arguments(schema, ask))]
    else:
        return ()

    return tuple(
        Call(_identity(ask, index, name, arguments), name, arguments)
        for index, (name, arguments) in enumerate(wanted)
    )


def _arguments(schema: Any, ask: Ask) -> dict[str, Any]:
    """Return arguments that the schema accepts."""
    said = [message["content"] for message in ask.messages if message["role"] == "user"]
    text = said[-1][:_MAX_ARGUMENT_CHARS] if said else ""
    return cast("dict[str, Any]", Filling({"type": "object", **schema}, text).value())


def _identity(ask: Ask, index: int, name: str, arguments: dict[str, Any]) -> str:
    """Return an id that two calls of one conversation do not share, the same each time."""
    seen = f"{len(ask.messages)}:{ask.tool_results}:{index}:{name}".encode()
    return f"call_{zlib.crc32(seen + orjson.dumps(arguments)):08x}"


def _text(model: SandboxModel, script: Script, ask: Ask, seed: int, sample: int) -> str:
    """Return one answer as text: the script's if it has one, as it is."""
    if script.answer is not None:
        return script.answer

    answer = model.complete(
        ask.messages,
        temperature=ask.temperature,
        seed=seed,
        sample=sample,
        schema=ask.schema,
    )
    return answer.text if ask.schema is None else _fitted(answer.text, ask)


def _fitted(text: str, ask: Ask) -> str:
    """Return JSON that the schema asked for accepts; text that is such JSON stays as it is."""
    schema = ask.schema or {"type": "object"}
    try:
        found: object = orjson.loads(text)
    except orjson.JSONDecodeError:
        filling = Filling(schema, text)
        return _json(filling.value() if ask.schema else {"answer": text})

    made = Filling(schema, "").value(found)
    return text if same_json(made, found) else _json(made)


def _json(value: object) -> str:
    return orjson.dumps(value).decode()


def _limited(text: str, calls: tuple[Call, ...], ask: Ask, reasoning: str) -> Choice:
    """Cut an answer at a stop sequence, or over its tokens; reasoning comes first."""
    finish: Finish = "tool_calls" if calls else "stop"
    text, stop = _stopped(text, ask.stop)
    if stop is not None and not calls:
        finish = "stop_sequence"

    if ask.max_tokens is not None:
        left = ask.max_tokens - count_tokens(reasoning)
        if count_tokens(text) > left:
            text, finish, stop = text[: max(0, left) * CHARS_PER_TOKEN], "length", None
            reasoning = reasoning[: ask.max_tokens * CHARS_PER_TOKEN]

    return Choice(text, finish, calls=calls, reasoning=reasoning, stop=stop)


def _stopped(text: str, stops: Sequence[str]) -> tuple[str, str | None]:
    """Return the text before the first stop sequence, and that sequence."""
    places = [(place, stop) for stop in stops if (place := text.find(stop)) >= 0]
    if not places:
        return text, None

    place, stop = min(places)
    return text[:place], stop


def _usage(ask: Ask, choices: Sequence[Choice], cached_share: float) -> Usage:
    input_tokens = ask.input_tokens
    return Usage(
        input_tokens,
        sum(choice.output_tokens for choice in choices),
        cached_tokens=int(input_tokens * cached_share),
        reasoning_tokens=sum(count_tokens(choice.reasoning) for choice in choices),
    )
