"""A nearest-neighbour reader that stands in for a language model where none can be reached.

It sees the messages it is sent and nothing else. An output with a closed list of values is answered
by a vote of the demonstrations most like the question, with the rules found in the instructions and
the words of the values themselves; free text is taken from the nearest demonstration; where no
demonstration shows any, the answer states which words go with which labels in the prompt, in the
sentences of `dspex.sandbox.grammar`, which the reader follows when it meets them in instructions.
What such a reader gains from demonstrations and rules is real; what it says about language models
is nothing.
"""

from __future__ import annotations

import hashlib
import json
from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import orjson

from dspex.sandbox.explain import explain, propose
from dspex.sandbox.fields import OutputField, Value, read_schema
from dspex.sandbox.noise import Noise
from dspex.sandbox.prompt import Question, read_question, split_messages
from dspex.sandbox.reader import Reader, Tuning

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ("DISCLAIMER", "MODEL_ID", "SandboxAnswer", "SandboxModel")

MODEL_ID: Final = "sandbox/nearest-demo"
"""The one model name the sandbox answers to."""

DISCLAIMER: Final = "stand-in classifier, not a language model"
"""What every report of a run against this model says."""

_CHARS_PER_TOKEN: Final = 4


@dataclass(frozen=True, slots=True)
class SandboxAnswer:
    """An answer, and the tokens of prompt and answer at four characters a token."""

    text: str
    prompt_tokens: int
    completion_tokens: int


class SandboxModel:
    """Answer prompts; pure but for a bounded memory of prefixes it has read.

    What comes before the question is parsed and indexed once and remembered by digest: at most
    `max_prefixes` of them, of together at most `max_prefix_chars` characters, the least recently
    used going first. Not thread-safe. A call with 24 demonstrations takes some hundred
    microseconds.
    """

    def __init__(
        self,
        *,
        max_prefixes: int = 128,
        max_prefix_chars: int = 16_000_000,
        tuning: Tuning | None = None,
    ) -> None:
        """Start with an empty memory."""
        self._max_prefixes = max_prefixes
        self._max_prefix_chars = max_prefix_chars
        self._tuning = Tuning() if tuning is None else tuning
        self._readers: OrderedDict[bytes, Reader] = OrderedDict()
        self._chars = 0

    @property
    def remembered(self) -> int:
        """How many prefixes are in memory."""
        return len(self._readers)

    def complete(
        self,
        messages: Sequence[Mapping[str, str]],
        *,
        temperature: float = 0.0,
        seed: int | None = None,
        sample: int = 0,
        schema: Mapping[str, Any] | None = None,
    ) -> SandboxAnswer:
        """Answer `messages`, each a mapping with the strings `role` and `content`.

        The answer is a function of the arguments. At `temperature` 0 neither `seed` nor `sample`
        matters; above it they choose the noise. `schema` asks for a JSON object, with the members
        of that JSON schema if it has any.
        """
        prefix, text = split_messages(messages)
        digest = hashlib.blake2b(orjson.dumps(list(prefix)), digest_size=16).digest()
        reader = self._reader(digest, prefix)
        question = read_question(text, asks_json=reader.asks_json or schema is not None)
        fields = _fields(reader, question, schema)
        noise = Noise.of(digest, text, seed, sample, temperature)
        values = _answered(reader, question, fields, noise)
        answer = _rendered(fields, values, as_json=question.as_json or schema is not None)
        return SandboxAnswer(answer, _tokens(reader.chars + len(text)), _tokens(len(answer)))

    def _reader(self, digest: bytes, prefix: Sequence[Mapping[str, str]]) -> Reader:
        """Return the reader of a prefix, from memory if it is there."""
        reader = self._readers.get(digest)
        if reader is not None:
            self._readers.move_to_end(digest)
            return reader

        reader = Reader(prefix, self._tuning)
        self._readers[digest] = reader
        self._chars += reader.chars
        while len(self._readers) > 1 and (
            len(self._readers) > self._max_prefixes or self._chars > self._max_prefix_chars
        ):
            _, oldest = self._readers.popitem(last=False)
            self._chars -= oldest.chars

        return reader


def _fields(
    reader: Reader, question: Question, schema: Mapping[str, Any] | None
) -> tuple[OutputField, ...]:
    """Return the outputs asked for, in order; one without a name when none is named."""
    known = {field.name: field for field in read_schema(schema or {})}
    names = question.outputs or tuple(known) or reader.output_names(question)
    found = (known.get(name) or reader.field(name, question) for name in names)
    return tuple(found) or (OutputField("", (), None),)


def _answered(
    reader: Reader, question: Question, fields: Sequence[OutputField], noise: Noise
) -> dict[str, Value]:
    """Return the value of each output; reasons are found once the labels are."""
    values: dict[str, Value] = {}
    for field in fields:
        ballot = reader.ballot(field)
        if ballot.candidates:
            scores = noise.shifted(reader.scores(field, question))
            values[field.name] = ballot.candidates[int(np.argmax(scores))]

    labelled = [(field, values[field.name]) for field in fields if field.allowed]
    for field in fields:
        if field.name in values:
            continue

        if field.empty is not None:
            values[field.name] = field.empty
        elif labelled:
            values[field.name] = explain(reader, question, labelled)
        else:
            values[field.name] = propose(reader, question, noise)

    return values


def _rendered(fields: Sequence[OutputField], values: Mapping[str, Value], *, as_json: bool) -> str:
    """Write the values in the layout the prompt uses."""
    if as_json and fields[0].name:
        members = {field.name: _member(field, values[field.name]) for field in fields}
        return json.dumps(members, ensure_ascii=False)

    if not fields[0].name:
        return _plain(values[""])

    sections = [f"[[ ## {field.name} ## ]]\n{_plain(values[field.name])}" for field in fields]
    return "\n\n".join([*sections, "[[ ## completed ## ]]"])


def _member(field: OutputField, value: Value) -> object:
    """Return a value as JSON has it: text about a number or a list becomes that number or list."""
    if field.empty is None or not isinstance(value, str):
        return value

    try:
        return orjson.loads(value)
    except orjson.JSONDecodeError:
        return value


def _plain(value: Value) -> str:
    """Return a value as text: strings as they are, all else as JSON writes it."""
    return value if isinstance(value, str) else json.dumps(value)


def _tokens(chars: int) -> int:
    return -(-chars // _CHARS_PER_TOKEN)
