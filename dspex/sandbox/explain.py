"""Free text without an example to follow: the reader states which words go with which labels.

Beside a label, as a reason for it, only what touches the question is stated; otherwise all that the
prompt shows, ready to be used as an instruction. Both are sentences of `dspex.sandbox.grammar`.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Final

from dspex.sandbox.associations import Association, find_associations
from dspex.sandbox.grammar import Rule, normal_name, read_rules, write_rules
from dspex.sandbox.similarity import content_words, pieces_of

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence, Set

    from dspex.sandbox.fields import OutputField, Value
    from dspex.sandbox.noise import Noise
    from dspex.sandbox.prompt import Question
    from dspex.sandbox.reader import Reader

__all__ = ("explain", "propose", "strongest")

_NOTHING: Final = "The prompt associates no word with a label."
_MAX_REASONS: Final = 3
_MAX_PHRASES: Final = 8
_STATED_WEIGHT: Final = 1.0


def explain(reader: Reader, question: Question, chosen: Sequence[tuple[OutputField, Value]]) -> str:
    """Return the associations between words of the question and the labels chosen for it."""
    rules: dict[Rule, None] = {}
    for field, value in chosen:
        label = str(value)
        fired = [rule for rule in reader.fired(field, question) if rule.label == label]
        rules.update(dict.fromkeys(fired[:_MAX_REASONS]))
        for word in _telling_words(reader, question, field, label):
            source = _holder(question, word)
            rules[Rule(source, word, normal_name(field.name), label)] = None

    return write_rules(rules) or _NOTHING


def propose(reader: Reader, question: Question, noise: Noise) -> str:
    """Return the associations in the records the prompt shows, and the rules it already states."""
    shown = f"{reader.instructions}\n{question.text}"
    merged: dict[tuple[str, str, str], Association] = {}
    for found in [
        *find_associations(question.text),
        *(Association(rule, _STATED_WEIGHT) for rule in read_rules(shown)),
    ]:
        rule = found.rule
        merged.setdefault((rule.input_name, rule.phrase, rule.output_name), found)

    return write_rules(strongest(merged.values(), noise)) or _NOTHING


def strongest(found: Collection[Association], noise: Noise) -> list[Rule]:
    """Return the strongest rules of each label; noise decides which ones those are."""
    by_label: dict[tuple[str, str, str], list[tuple[float, Rule]]] = defaultdict(list)
    for item in found:
        rule = item.rule
        group = by_label[rule.input_name, rule.output_name, rule.label]
        group.append((-noise.scaled(item.weight), rule))

    return [
        rule
        for group in by_label.values()
        for _, rule in sorted(group, key=lambda pair: (pair[0], pair[1].phrase))[:_MAX_PHRASES]
    ]


def _telling_words(reader: Reader, question: Question, field: OutputField, label: str) -> list[str]:
    """Return the words of the question that speak most for `label`, the strongest first."""
    words = dict.fromkeys(content_words(question.text))
    own = {piece for word in content_words(label) for piece in pieces_of(word)}
    strength = {word: _share(pieces_of(word), own) for word in words}
    votes = reader.ballot(field).votes
    wanted = field.allowed.index(label) if label in field.allowed else -1
    for word in words if wanted >= 0 else ():
        holders = votes[reader.index.holders(word)]
        strength[word] += int((holders == wanted).sum()) / (1 + len(holders))

    telling = sorted(words, key=lambda word: (-strength[word], word))
    return [word for word in telling[:_MAX_REASONS] if strength[word] > 0]


def _holder(question: Question, word: str) -> str:
    """Return the name of the first input that mentions `word`."""
    for name, value in question.inputs.items():
        if word in content_words(value):
            return normal_name(name) or "input"

    return "input"


def _share(pieces: Sequence[str], known: Set[str]) -> float:
    return sum(piece in known for piece in pieces) / len(pieces)
