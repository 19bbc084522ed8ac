"""Anthropic's message batches: the SDK is the judge, and time stands where the test puts it."""

from __future__ import annotations

from typing import Any

import anthropic
import pytest

from dspex.sandbox import MODEL_ID, Batching, Script
from tests.dspex.sandbox.sdks import anthropic_sdk
from tests.dspex.sandbox.serving import wire_counts


def requests(*names: str, **changes: Any) -> Any:
    return [
        {
            "custom_id": name,
            "params": {
                "model": MODEL_ID,
                "max_tokens": 50,
                "messages": [{"role": "user", "content": name}],
            }
            | changes,
        }
        for name in names
    ]


async def results_of(sdk: anthropic.AsyncAnthropic, identity: str) -> dict[str, Any]:
    found = await sdk.messages.batches.results(identity)
    return {item.custom_id: item.result async for item in found}


class Clock:
    now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


async def test_life_of_a_batch() -> None:
    """It is processed, then ended; each request has a result; the good ones are billed."""
    clock = Clock()
    script = Script(answer="done", batch=Batching(finish_s=10.0))
    async with anthropic_sdk(script, clock=clock) as (sdk, client):
        batch = await sdk.messages.batches.create(
            requests=requests("a", "b") + requests("c", model="unknown")
        )
        clock.now_s += 5
        batch = await sdk.messages.batches.retrieve(batch.id)
        assert (batch.processing_status, batch.request_counts.processing) == ("in_progress", 3)
        with pytest.raises(anthropic.AnthropicError):
            await sdk.messages.batches.results(batch.id)

        with pytest.raises(anthropic.BadRequestError):
            await sdk.messages.batches.delete(batch.id)

        clock.now_s += 5
        batch = await sdk.messages.batches.retrieve(batch.id)
        counts = batch.request_counts
        assert batch.processing_status == "ended"
        assert (counts.succeeded, counts.errored, counts.processing) == (2, 1, 0)
        results = await results_of(sdk, batch.id)
        assert results["a"].message.content[0].text == "done"
        assert results["c"].error.error.type == "not_found_error"
        assert (await wire_counts(client, "anthropic_batches"))["billed_output_tokens"] == 2
        assert [found.id async for found in sdk.messages.batches.list()] == [batch.id]
        assert (await sdk.messages.batches.delete(batch.id)).id == batch.id
        with pytest.raises(anthropic.NotFoundError):
            await sdk.messages.batches.retrieve(batch.id)


async def test_cancel() -> None:
    """A canceled batch keeps what was done; it cannot be canceled twice."""
    clock = Clock()
    async with anthropic_sdk(Script(batch=Batching(finish_s=10.0)), clock=clock) as (sdk, _):
        batch = await sdk.messages.batches.create(requests=requests("a", "b"))
        clock.now_s += 6
        canceling = await sdk.messages.batches.cancel(batch.id)
        assert canceling.processing_status == "canceling"
        assert canceling.cancel_initiated_at is not None
        results = await results_of(sdk, batch.id)
        assert [results[name].type for name in "ab"] == ["succeeded", "canceled"]
        with pytest.raises(anthropic.BadRequestError):
            await sdk.messages.batches.cancel(batch.id)


async def test_expiry_and_failures() -> None:
    """What is not done in time expires; of the rest a share fails."""
    clock = Clock()
    options = Batching(finish_s=10.0, expire_s=5.0, failed=1.0)
    async with anthropic_sdk(Script(batch=options), clock=clock) as (sdk, _):
        batch = await sdk.messages.batches.create(requests=requests("a", "b"))
        clock.now_s += 5
        results = await results_of(sdk, batch.id)
        assert [results[name].type for name in "ab"] == ["errored", "expired"]
        assert results["a"].error.error.type == "api_error"


@pytest.mark.parametrize(
    "wanted",
    [[], requests("a", "a"), [{"custom_id": "a"}], [{"params": {}}]],
    ids=["none", "doubled", "no params", "no id"],
)
async def test_bad_batches(wanted: Any) -> None:
    """Requests have to be there, with ids of their own."""
    async with anthropic_sdk() as (sdk, _):
        with pytest.raises(anthropic.BadRequestError):
            await sdk.messages.batches.create(requests=wanted)
