"""The task on which the reader's numbers were fixed: paragraphs of the Python language reference.

Which of eight topics does a paragraph belong to? The text comes with Python (`pydoc_data`). No
table uses this task, and no number of the reader was chosen on any other.
"""

from __future__ import annotations

import random
import re
from collections.abc import Sequence
from pydoc_data.topics import topics

from dspex.sandbox.model import SandboxModel
from tests.dspex.sandbox.chat import Pair, classify

__all__ = ("LABELS", "accuracy", "examples", "split")

SOURCES = {
    "string methods": "string-methods",
    "mapping types": "typesmapping",
    "sequence types": "typesseq",
    "customization": "customization",
    "format strings": "formatstrings",
    "import system": "import",
    "comparisons": "comparisons",
    "attribute access": "attribute-access",
}
LABELS = tuple(SOURCES)
PER_LABEL = 36
TRAINING = 160


def examples() -> list[Pair]:
    """Return as many (paragraph, topic) pairs of each topic."""
    pairs: list[Pair] = []
    for label, name in SOURCES.items():
        found = [" ".join(part.split()) for part in re.split(r"\n\s*\n", topics[name])]
        prose = [text[:400] for text in found if _is_prose(text)]
        chosen = random.Random(0).sample(list(dict.fromkeys(prose)), PER_LABEL)
        pairs += [(text, label) for text in chosen]

    return pairs


def split(seed: int) -> tuple[list[Pair], list[Pair]]:
    """Return pairs to show and pairs to judge by."""
    pairs = examples()
    random.Random(seed).shuffle(pairs)
    return pairs[:TRAINING], pairs[TRAINING:]


def accuracy(
    model: SandboxModel,
    judged: Sequence[Pair],
    demos: Sequence[Pair] = (),
    instructions: str = "Name the topic of the text.",
) -> float:
    """Return the share of `judged` whose topic the model names, over text alone."""
    right = 0
    for text, label in judged:
        messages = classify(LABELS, text, demos, instructions=instructions)
        right += model.complete(messages).text.startswith(f"[[ ## topic ## ]]\n{label}\n")

    return right / len(judged)


def _is_prose(text: str) -> bool:
    return len(re.findall(r"[A-Za-z]{2,}", text)) >= 8 and "::=" not in text and ">>>" not in text
