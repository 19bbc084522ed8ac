"""What the reader makes of a prompt: demonstrations vote, rules and the labels' own words join in.

The reader's numbers were fixed on paragraphs of the Python language reference, told apart by topic:
a task that no table uses. `tests/dspex/sandbox/test_tuning.py` holds that task and shows the
choice.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Final

import numpy as np
from cachetools import LRUCache

from dspex.sandbox.fields import OutputField, Value, read_field
from dspex.sandbox.grammar import Rule, normal_name, read_rules
from dspex.sandbox.prompt import Question, read_demos, read_headers
from dspex.sandbox.similarity import Features, TextIndex, words_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

__all__ = ("Ballot", "Reader", "Tuning")

_LEFT_OUT: Final = re.compile(r"\(.*\)|not supplied .*", re.IGNORECASE | re.DOTALL)
"""A remark in place of a value that a demonstration does not have."""

_MAX_REMEMBERED: Final = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Tuning:
    """The numbers of the reader.

    `word_share`: weight of whole words against pieces of words, 0 to 1. `sharpness`: what a
    demonstration counts is this power of its similarity. `own_words`: how many demonstrations a
    label's own words count as. `rule_weight`: what the rules count, where all else counts 1.
    """

    word_share: float = 0.25
    sharpness: float = 1.5
    own_words: float = 1.0
    rule_weight: float = 1.0


@dataclass(frozen=True, slots=True)
class Ballot:
    """What an output may be answered with.

    `candidates` are the values to choose from; `votes[i]` is the candidate that demonstration i
    shows, or -1; `names` indexes the candidates' own words, or is None where those say nothing.
    """

    candidates: tuple[Value, ...]
    votes: NDArray[np.int64]
    names: TextIndex | None


class Reader:
    """Everything about a prompt that does not depend on its question; built once for many calls."""

    def __init__(self, messages: Sequence[Mapping[str, str]], tuning: Tuning) -> None:
        """Read the messages before the question."""
        self.tuning = tuning
        self.chars = sum(len(message["content"]) for message in messages)
        self.instructions = "\n".join(
            message["content"] for message in messages if message["role"] in ("system", "developer")
        )
        self.asks_json = "json" in self.instructions.lower()
        self.demos = read_demos(messages)
        self._fields: LRUCache[tuple[str, str], OutputField] = LRUCache(_MAX_REMEMBERED)
        self._ballots: LRUCache[OutputField, Ballot] = LRUCache(_MAX_REMEMBERED)

    @cached_property
    def rules(self) -> tuple[Rule, ...]:
        """The rules stated in the instructions."""
        return read_rules(self.instructions)

    @cached_property
    def index(self) -> TextIndex:
        """The inputs of the demonstrations, each as one text."""
        texts = ["\n".join(demo.inputs.values()) for demo in self.demos]
        return TextIndex(texts, word_share=self.tuning.word_share)

    def output_names(self, question: Question) -> tuple[str, ...]:
        """Return the headers that the instructions show and the question does not hold."""
        shown = dict.fromkeys(read_headers(self.instructions))
        return tuple(name for name in shown if name not in question.inputs)

    def field(self, name: str, question: Question) -> OutputField:
        """Return what the prompt says about an output."""
        key = (name, question.reminder)
        if key not in self._fields:
            self._fields[key] = read_field(
                name, (self.instructions, question.reminder), question.outputs
            )

        return self._fields[key]

    def ballot(self, field: OutputField) -> Ballot:
        """Return the candidates for an output and how the demonstrations stand to them."""
        if field not in self._ballots:
            self._ballots[field] = self._new_ballot(field)

        return self._ballots[field]

    def scores(self, field: OutputField, question: Question) -> NDArray[np.float64]:
        """Return what speaks for each candidate: the demonstrations (adding up to 1), and rules."""
        scores = self._votes(self.ballot(field), question.features)
        if field.allowed and self.rules:
            scores += self.tuning.rule_weight * self._rule_shares(field, question)

        return scores

    def fired(self, field: OutputField, question: Question) -> list[Rule]:
        """Return the rules about `field` whose phrase the question mentions."""
        target = normal_name(field.name)
        texts = {normal_name(name): _padded(value) for name, value in question.inputs.items()}
        whole = _padded(question.text)
        return [
            rule
            for rule in self.rules
            if rule.output_name == target
            and _padded(rule.phrase) in texts.get(rule.input_name, whole)
        ]

    def _new_ballot(self, field: OutputField) -> Ballot:
        """Choose among the allowed values; else among the values shown; else nothing is known."""
        shown = [demo.outputs.get(field.name, "") for demo in self.demos]
        if field.allowed:
            places = {str(value).lower(): at for at, value in enumerate(field.allowed)}
            votes = [places.get(value.lower(), -1) for value in shown]
            names = TextIndex(
                [str(value) for value in field.allowed], word_share=self.tuning.word_share
            )
            return Ballot(field.allowed, np.array(votes, np.int64), names)

        usable = [value for value in shown if value and not _LEFT_OUT.fullmatch(value)]
        numbers = {value: number for number, value in enumerate(dict.fromkeys(usable))}
        votes = [numbers.get(value, -1) for value in shown]
        return Ballot(tuple(numbers), np.array(votes, np.int64), None)

    def _votes(self, ballot: Ballot, features: Features) -> NDArray[np.float64]:
        """Return each candidate's mean similarity to what stands for it, as shares of 1.

        Means, because how often a candidate is shown says how the demonstrations were picked, not
        what the answer is. A candidate's own words stand for it like a demonstration.
        """
        count = len(ballot.candidates)
        sharpness, own_words = self.tuning.sharpness, self.tuning.own_words
        totals, shown = np.zeros(count), np.zeros(count)
        voters = np.flatnonzero(ballot.votes >= 0)
        if len(voters):
            votes = ballot.votes[voters]
            weights = self.index.similarities(features)[voters] ** sharpness
            totals += np.bincount(votes, weights, minlength=count)
            shown += np.bincount(votes, minlength=count)

        if ballot.names is not None:
            totals += own_words * ballot.names.similarities(features) ** sharpness
            shown += own_words

        means = totals / np.maximum(shown, 1e-9)
        shares: NDArray[np.float64] = means / (means.sum() or 1.0)
        return shares

    def _rule_shares(self, field: OutputField, question: Question) -> NDArray[np.float64]:
        """Return each candidate's share of the rules that apply, less the fewer they are."""
        places = {str(value).lower(): at for at, value in enumerate(field.allowed)}
        counts = np.zeros(len(field.allowed))
        for rule in self.fired(field, question):
            place = places.get(rule.label.lower())
            if place is not None:
                counts[place] += 1

        shares: NDArray[np.float64] = counts / (counts.sum() + 1)
        return shares


def _padded(text: str) -> str:
    """Return the words of a text so that a phrase is found only as whole words."""
    return f" {' '.join(words_of(text))} "
