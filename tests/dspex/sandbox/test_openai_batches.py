"""OpenAI's batches: the SDK is the judge, and time stands where the test puts it."""

from __future__ import annotations

from typing import Any

import openai
import orjson
import pytest

from dspex.sandbox import EMBEDDING_ID, MODEL_ID, Batching, Script
from tests.dspex.sandbox.sdks import openai_sdk
from tests.dspex.sandbox.serving import wire_counts

CHAT: Any = "/v1/chat/completions"


def line(name: str, url: str = CHAT, **changes: Any) -> bytes:
    body = {"model": MODEL_ID, "messages": [{"role": "user", "content": name}]} | changes
    return orjson.dumps({"custom_id": name, "method": "POST", "url": url, "body": body})


async def begin(sdk: openai.AsyncOpenAI, data: bytes, endpoint: Any = CHAT) -> Any:
    """Upload a file and make a batch of it."""
    stored = await sdk.files.create(file=("in.jsonl", data), purpose="batch")
    return await sdk.batches.create(
        input_file_id=stored.id, endpoint=endpoint, completion_window="24h", metadata={"a": "b"}
    )


async def view(sdk: openai.AsyncOpenAI, batch: Any) -> Any:
    """Return a batch as it is now."""
    return await sdk.batches.retrieve(batch.id)


async def lines_of(sdk: openai.AsyncOpenAI, identity: str | None) -> dict[str, Any]:
    """Return the lines of a file of results, by their ids."""
    assert identity is not None
    content = await sdk.files.content(identity)
    rows = [orjson.loads(row) for row in content.content.splitlines()]
    return {row["custom_id"]: row for row in rows}


class Clock:
    now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


async def test_life_of_a_batch() -> None:
    """It is in progress, then completed; good and bad lines are in files of their own; billed."""
    clock = Clock()
    script = Script(answer="done", batch=Batching(finish_s=10.0))
    data = b"\n".join([line("a"), line("b", model="unknown"), line("c"), b""])
    async with openai_sdk(script, clock=clock) as (sdk, client):
        batch = await begin(sdk, data)
        assert (batch.status, batch.metadata) == ("in_progress", {"a": "b"})
        clock.now_s += 5
        batch = await view(sdk, batch)
        assert (batch.status, batch.request_counts.completed) == ("in_progress", 1)
        assert batch.output_file_id is None
        clock.now_s += 5
        batch = await view(sdk, batch)
        assert (batch.status, batch.completed_at - batch.created_at) == ("completed", 10)
        assert (batch.request_counts.completed, batch.request_counts.failed) == (2, 1)
        good = await lines_of(sdk, batch.output_file_id)
        body = good["c"]["response"]["body"]
        assert sorted(good) == ["a", "c"]
        assert body["choices"][0]["message"]["content"] == "done"
        bad = (await lines_of(sdk, batch.error_file_id))["b"]["response"]
        assert (bad["status_code"], bad["body"]["error"]["code"]) == (404, "model_not_found")
        tally = await wire_counts(client, "openai_batches")
        assert tally["billed_output_tokens"] == 2
        assert [found.id async for found in sdk.batches.list()] == [batch.id]


@pytest.mark.parametrize(
    ("endpoint", "body"),
    [
        ("/v1/responses", {"model": MODEL_ID, "input": "hi"}),
        ("/v1/embeddings", {"model": EMBEDDING_ID, "input": "hi"}),
    ],
)
async def test_other_endpoints(endpoint: str, body: dict[str, Any]) -> None:
    """Responses and embeddings come in batches too."""
    item = {"custom_id": "a", "method": "POST", "url": endpoint, "body": body}
    async with openai_sdk() as (sdk, _):
        batch = await begin(sdk, orjson.dumps(item), endpoint)
        batch = await sdk.batches.retrieve(batch.id)
        assert (await lines_of(sdk, batch.output_file_id))["a"]["response"]["status_code"] == 200


async def test_cancel() -> None:
    """A canceled batch keeps what was done; it cannot be canceled twice."""
    clock = Clock()
    async with openai_sdk(Script(batch=Batching(finish_s=10.0)), clock=clock) as (sdk, _):
        batch = await begin(sdk, b"\n".join([line("a"), line("b")]))
        clock.now_s += 6
        assert (await sdk.batches.cancel(batch.id)).status == "cancelling"
        batch = await sdk.batches.retrieve(batch.id)
        assert batch.status == "cancelled"
        assert list(await lines_of(sdk, batch.output_file_id)) == ["a"]
        assert batch.error_file_id is None
        with pytest.raises(openai.ConflictError):
            await sdk.batches.cancel(batch.id)


async def test_expiry() -> None:
    """What is not done in time is in the file of errors, and says so."""
    clock = Clock()
    options = Batching(finish_s=10.0, expire_s=5.0)
    async with openai_sdk(Script(batch=options), clock=clock) as (sdk, _):
        batch = await begin(sdk, b"\n".join([line("a"), line("b")]))
        clock.now_s += 5
        batch = await sdk.batches.retrieve(batch.id)
        assert batch.status == "expired"
        late = (await lines_of(sdk, batch.error_file_id))["b"]
        assert (late["error"]["code"], late["response"]) == ("batch_expired", None)


async def test_scripted_failures() -> None:
    """A share of the lines fails with an error of its own."""
    async with openai_sdk(Script(batch=Batching(failed=1.0))) as (sdk, _):
        batch = await begin(sdk, line("a"))
        batch = await sdk.batches.retrieve(batch.id)
        assert batch.output_file_id is None
        bad = (await lines_of(sdk, batch.error_file_id))["a"]
        assert bad["response"]["status_code"] == 500


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"{", "invalid_json_line"),
        (b"", "invalid_file"),
        (line("a") + b"\n" + line("a"), "duplicate_custom_id"),
        (line("a", "/v1/embeddings"), "mismatched_url"),
        (b'{"custom_id": "a", "method": "GET"}', "invalid_method"),
    ],
)
async def test_file_that_cannot_be_read(data: bytes, code: str) -> None:
    """The batch fails as a whole and names the lines."""
    async with openai_sdk() as (sdk, _):
        batch = await begin(sdk, data)
        assert batch.status == "failed"
        assert batch.errors.data[0].code == code
        assert batch.output_file_id is None


async def test_files() -> None:
    """Files are listed, read and deleted; unknown ones are not found."""
    async with openai_sdk() as (sdk, client):
        stored = await sdk.files.create(file=("in.jsonl", b"\r\n--x\xff"), purpose="batch")
        assert (stored.filename, stored.bytes) == ("in.jsonl", 6)
        assert (await sdk.files.content(stored.id)).content == b"\r\n--x\xff"
        assert [item.id async for item in sdk.files.list()] == [stored.id]
        assert (await sdk.files.retrieve(stored.id)).id == stored.id
        assert (await sdk.files.delete(stored.id)).deleted
        with pytest.raises(openai.NotFoundError):
            await sdk.files.retrieve(stored.id)

        with pytest.raises(openai.BadRequestError):
            await sdk.files.create(file=("in.jsonl", b"x"), purpose="vision")

        assert (await wire_counts(client, "openai_batches"))["bad_requests"] == 2


async def test_faults_of_the_batch_routes() -> None:
    """They follow their own opening; a request that was refused has done nothing."""
    script = Script(opening=("reset",), batch=Batching(opening=("unavailable", "ok", "reset")))
    async with openai_sdk(script) as (sdk, _):
        with pytest.raises(openai.InternalServerError):
            await sdk.files.create(file=("a", b"x"), purpose="batch")

        assert [item.id async for item in sdk.files.list()] == []
        with pytest.raises(openai.APIConnectionError):
            await sdk.files.create(file=("a", b"x"), purpose="batch")


async def test_bad_batches() -> None:
    """Endpoint, window and file have to be right."""
    good: dict[str, Any] = {
        "endpoint": CHAT,
        "completion_window": "24h",
        "input_file_id": "file-x",
    }
    async with openai_sdk() as (sdk, _):
        for changes in ({"endpoint": "/v1/x"}, {"completion_window": "1h"}):
            with pytest.raises(openai.BadRequestError):
                await sdk.batches.create(**good | changes)

        with pytest.raises(openai.NotFoundError):
            await sdk.batches.create(**good)

        with pytest.raises(openai.NotFoundError):
            await sdk.batches.retrieve("batch_x")
