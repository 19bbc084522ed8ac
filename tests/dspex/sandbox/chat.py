"""Prompts in the layout that the sandbox model reads, written out by hand."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

__all__ = ("classify", "section", "system")

Pair = tuple[str, str]


def section(name: str, value: str) -> str:
    return f"[[ ## {name} ## ]]\n{value}"


def system(labels: Sequence[str], instructions: str, *, reasoned: bool = False) -> str:
    reasoning = "1. `reasoning` (str)\n" if reasoned else ""
    slot = section("reasoning", "{reasoning}") + "\n\n" if reasoned else ""
    listed = "; ".join(labels)
    return (
        f"Inputs:\n1. `text` (str)\nOutputs:\n{reasoning}2. `topic` (str): one of: {listed}\n\n"
        f"{section('text', '{text}')}\n\n{slot}"
        f"{section('topic', '{topic}')}        # must exactly match one of: {listed}\n\n"
        f"[[ ## completed ## ]]\n\nYour objective is: {instructions}"
    )


def classify(
    labels: Sequence[str],
    text: str,
    demos: Iterable[Pair] = (),
    *,
    instructions: str = "Name the topic of the text.",
    reasoned: bool = False,
) -> list[dict[str, str]]:
    """Return the messages that ask for the topic of `text`, shown `demos` of (text, topic)."""
    turns = [{"role": "system", "content": system(labels, instructions, reasoned=reasoned)}]
    missing = section("reasoning", "(left out in this example)") + "\n\n" if reasoned else ""
    for shown, label in demos:
        answer = f"{missing}{section('topic', label)}\n\n[[ ## completed ## ]]\n"
        turns.append({"role": "user", "content": section("text", shown)})
        turns.append({"role": "assistant", "content": answer})

    first = "`[[ ## reasoning ## ]]`, then " if reasoned else ""
    reminder = f"Answer with {first}`[[ ## topic ## ]]`, and end with `[[ ## completed ## ]]`."
    turns.append({"role": "user", "content": f"{section('text', text)}\n\n{reminder}"})
    return turns
