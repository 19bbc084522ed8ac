"""Services die in turn under an evaluation of two thousand examples, and no example is lost."""

from __future__ import annotations

import asyncio
from typing import Literal

import pytest

import dspex
from dspex.evaluation import Progress
from dspex.runtime import Runtime
from dspex.sandbox import Faults, Latency, SandboxServer, Script
from supervision import Ref
from supervision.testing import crash

EXAMPLES = 2_000

COLOURS = ("red", "green", "blue")
SHOWN = {
    "red": "a ripe tomato and a fire engine",
    "green": "fresh grass and a young leaf",
    "blue": "the clear sky and the deep sea",
}


class Colour(dspex.Signature):
    """Say which colour the words suggest."""

    words: str = dspex.InputField()
    colour: Literal["red", "green", "blue"] = dspex.OutputField()


PROGRAM = (
    dspex.Predict(Colour)
    .with_demos([dspex.Example(words=words, colour=colour) for colour, words in SHOWN.items()])
    .with_config(temperature=0.0)
)


def dataset() -> list[dspex.Example]:
    return [
        dspex.Example(words=f"{SHOWN[colour]}, number {n}", colour=colour).with_inputs("words")
        for n, colour in zip(range(EXAMPLES), COLOURS * EXAMPLES, strict=False)
    ]


def place(runtime: Runtime, *path: str) -> Ref[object]:
    ref = runtime.root.ref("services")
    for name in path:
        ref = ref.ref(name)

    return ref


@pytest.mark.slow
@pytest.mark.chaos
async def test_no_example_is_lost_when_services_die_in_turn() -> None:
    """Client child, cache and telemetry are killed in turn; every example is scored, once."""
    script = Script(
        latency=Latency(median_s=0.1, sigma=0.3),
        faults=Faults(rate_limited=0.02, server_error=0.01, reset=0.01),
        retry_after_s=0.1,
    )
    victims = (
        ("clients", "sandbox", "session"),
        ("cache",),
        ("telemetry",),
        ("clients", "sandbox", "limits"),
    )
    killed: list[str] = []
    finished = 0
    moved = asyncio.Event()

    def watch(progress: Progress) -> None:
        nonlocal finished
        finished = progress.finished
        moved.set()

    async with SandboxServer.start(script=script) as server:
        provider = dspex.ProviderSettings(base_url=server.base_url, max_retries=8)
        async with dspex.Runtime(
            default=f"sandbox/{server.model}", providers={"sandbox": provider}
        ) as runtime:

            async def kill() -> None:
                for victim in victims:
                    goal = finished + EXAMPLES // 10
                    while finished < goal:
                        moved.clear()
                        await moved.wait()

                    crash(place(runtime, *victim))
                    killed.append(victim[-1])

            async with asyncio.TaskGroup() as group:
                group.create_task(kill())
                report = await dspex.evaluate(
                    PROGRAM,
                    dataset(),
                    dspex.exact_match("colour"),
                    max_concurrency=200,
                    progress=watch,
                )

            tree = runtime.root.tree()

    assert ["session", "cache", "telemetry", "limits"] == killed
    assert (EXAMPLES, 0, 0) == (
        report.counts.scored,
        report.counts.failed,
        report.counts.unavailable,
    )
    assert report.score == 1.0
    assert list(range(EXAMPLES)) == [outcome.index for outcome in report.outcomes]
    for name in ("session", "cache", "telemetry", "limits"):
        assert name in tree
