"""The plain sentences the sandbox reader can follow, and writes itself.

    rule    If the <input> mentions "<phrase>", the <output> is "<label>".
            If the <input> mentions "<phrase>" or "<phrase>", the <output> is "<label>".
    fact    The <output> is "<label>".      also: The correct <output> is "<label>".

Letter case does not matter, names may stand in backticks, and an underscore in a name may be
written as a space. Every other sentence is passed over in silence. A rule is looked for in the
instructions; a fact is looked for in records that the reader is shown, where it says what the right
answer was.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ("Rule", "normal_name", "read_facts", "read_rules", "write_rules")

_NAME: Final = r"`?(?P<{}>\w[\w ]{{0,60}}?)`?"
_QUOTED: Final = r'"[^"\n]{1,200}"'
_RULE: Final = re.compile(
    rf"\bif the {_NAME.format('input')} mentions "
    rf"(?P<phrases>{_QUOTED}(?:(?:,| or|, or) {_QUOTED})*), "
    rf'the {_NAME.format("output")} is "(?P<label>[^"\n]{{1,200}})"',
    re.IGNORECASE,
)
_FACT: Final = re.compile(
    rf'(?<![,"] )\bthe (?:correct |right |expected )?{_NAME.format("output")} '
    r'is "(?P<label>[^"\n]{1,200})"',
    re.IGNORECASE,
)
_PHRASE: Final = re.compile(r'"([^"\n]+)"')


@dataclass(frozen=True, slots=True)
class Rule:
    """One association: `input_name` mentioning `phrase` speaks for `label` in `output_name`."""

    input_name: str
    phrase: str
    output_name: str
    label: str


def normal_name(name: str) -> str:
    """Return a field's name as the grammar compares it: lower case, underscores for spaces."""
    return "_".join(name.lower().split())


def read_rules(text: str) -> tuple[Rule, ...]:
    """Return the rules stated in `text`, in order, one per quoted phrase, without repeats."""
    found: dict[Rule, None] = {}
    for match in _RULE.finditer(text):
        source, target = normal_name(match["input"]), normal_name(match["output"])
        for phrase in _PHRASE.findall(match["phrases"]):
            found[Rule(source, phrase.lower(), target, match["label"])] = None

    return tuple(found)


def read_facts(text: str) -> dict[str, str]:
    """Return the label of each output that `text` states as a fact; the last one counts."""
    plain = _RULE.sub(" ", text)
    return {normal_name(match["output"]): match["label"] for match in _FACT.finditer(plain)}


def write_rules(rules: Iterable[Rule]) -> str:
    """Return `rules` as sentences that `read_rules` reads back, one per input, output and label."""
    phrases: dict[tuple[str, str, str], list[str]] = {}
    for rule in rules:
        key = (rule.input_name, rule.output_name, rule.label)
        phrases.setdefault(key, []).append(f'"{rule.phrase}"')

    return "\n".join(
        f'If the {source} mentions {" or ".join(quoted)}, the {target} is "{label}".'
        for (source, target, label), quoted in phrases.items()
    )
