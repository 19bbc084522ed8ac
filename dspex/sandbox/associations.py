"""Which words go with which labels: found in labelled records, wherever a prompt shows some.

A record is a run of `name: value` pairs. Prompts write them in many ways, so pairs are read from
lines (`name: value`, with or without bullets and bold), from headers (`[[ ## name ## ]]`, `###
name`), and from JSON or Python text (`"name": "value"`, `name='value'`); a name that comes again
begins the next record. A name with few short values that recur is a label, the other names hold the
texts.
"""

from __future__ import annotations

import math
import re
from collections import Counter, defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from dspex.sandbox.grammar import Rule, normal_name, read_facts
from dspex.sandbox.similarity import content_words

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

__all__ = ("Association", "associate", "find_associations", "read_records")

_PAIR: Final = re.compile(
    r"""
      ^[ \t]*\[\[[ \t]*\#\#[ \t]*(?P<header>\w+)[ \t]*\#\#[ \t]*\]\](?P<body>(?:(?!^[ \t]*\[\[).)*)
    | ^[ \t]*\#{2,6}[ \t]*(?P<title>\w[\w ]{0,40}?)[ \t]*$(?P<below>(?:(?!^[ \t]*(?:\#|\[\[)).)*)
    | ['"](?P<key>\w+)['"]\s*:\s*(?P<member>"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')
    | \b(?P<argument>\w+)=(?P<passed>"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')
    | ^[ \t>*-]*(?P<name>\w[\w ]{0,40}?)\**:\**[ \t]+(?P<line>\S.*?)[ \t]*(?=\n|\Z)
    """,
    re.VERBOSE | re.MULTILINE | re.DOTALL,
)
_MAX_LABEL_CHARS: Final = 60
_MAX_LABEL_WORDS: Final = 5
_MAX_LABELS: Final = 40
_MIN_WORD_CHARS: Final = 3
_SMOOTHING: Final = 0.5


@dataclass(frozen=True, slots=True)
class Association:
    """A rule, and how strongly the records speak for it."""

    rule: Rule
    weight: float


def find_associations(text: str) -> list[Association]:
    """Return the associations in the records that `text` shows, the strongest first."""
    records = read_records(text)
    found: list[Association] = []
    for target in _label_names(records):
        for source in _text_names(records, target):
            pairs = [(r[source], r[target]) for r in records if source in r and target in r]
            found += associate(pairs, source, target)

    return sorted(found, key=lambda item: (-item.weight, item.rule.label, item.rule.phrase))


def associate(
    pairs: Sequence[tuple[str, str]], input_name: str, output_name: str
) -> list[Association]:
    """Return the words that speak for one label among (text, label) pairs.

    The weight is the number of texts with word and label times the logarithm of how much likelier
    the label is with the word than without looking; words that speak against are left out.
    """
    by_word: dict[str, Counter[str]] = defaultdict(Counter)
    labels = Counter(label for _, label in pairs)
    for text, label in pairs:
        for word in set(content_words(text)):
            by_word[word][label] += 1

    found: list[Association] = []
    for word, counts in by_word.items():
        label, count = max(counts.items(), key=lambda item: (item[1], item[0]))
        share = (count + _SMOOTHING / len(labels)) / (counts.total() + _SMOOTHING)
        weight = count * math.log(share * len(pairs) / labels[label])
        if weight > 0 and len(word) >= _MIN_WORD_CHARS:
            found.append(Association(Rule(input_name, word, output_name, label), weight))

    return found


def read_records(text: str) -> list[dict[str, str]]:
    """Return the records in `text`; a fact stated inside a record counts over its other values."""
    records: list[dict[str, str]] = []
    current: dict[str, str] = {}
    for name, value in _pairs(text):
        if name in current:
            records.append(_corrected(current))
            current = {}

        current[name] = value

    return [*records, _corrected(current)] if current else records


def _corrected(record: dict[str, str]) -> dict[str, str]:
    return record | read_facts("\n".join(record.values()))


def _pairs(text: str) -> Iterable[tuple[str, str]]:
    """Yield the (name, value) pairs in `text` in order."""
    for match in _PAIR.finditer(text):
        name = match["header"] or match["title"] or match["key"] or match["argument"]
        name = name or match["name"]
        value = match["body"] or match["below"] or match["line"]
        if value is None:
            quoted: str = match["member"] or match["passed"] or ""
            value = re.sub(r"\\(.)", r"\1", quoted[1:-1])

        if value.strip():
            yield normal_name(name), value.strip()


def _label_names(records: Sequence[Mapping[str, str]]) -> list[str]:
    """Return the names whose values are few, short, and come again."""
    values: dict[str, Counter[str]] = defaultdict(Counter)
    for record in records:
        for name, value in record.items():
            values[name][value] += 1

    return [name for name, counts in values.items() if _are_labels(counts)]


def _are_labels(counts: Counter[str]) -> bool:
    if not 2 <= len(counts) <= min(_MAX_LABELS, counts.total() - 1):
        return False

    return all(
        len(value) <= _MAX_LABEL_CHARS
        and len(value.split()) <= _MAX_LABEL_WORDS
        and '"' not in value
        for value in counts
    )


def _text_names(records: Sequence[Mapping[str, str]], target: str) -> list[str]:
    """Return the names that hold texts beside the label `target`."""
    together: dict[str, list[str]] = defaultdict(list)
    for record in records:
        if target in record:
            for name, value in record.items():
                together[name].append(value)

    together.pop(target, None)
    return [
        name
        for name, values in together.items()
        if not _are_labels(Counter(values)) and any(len(value.split()) > 1 for value in values)
    ]
