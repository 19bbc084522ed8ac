"""The application over real sockets on loopback, times scaled to milliseconds."""

from __future__ import annotations

import asyncio
import errno
import io
from typing import Any

import aiohttp
import openai
import orjson
import pytest

from dspex.sandbox import FAULTS, MODEL_ID, Damage, Faults, Latency, RateLimit, Script
from tests.dspex.sandbox.chat import classify
from tests.dspex.sandbox.serving import counts, eventually, serving

PATH = "/v1/chat/completions"
DEMOS = [("the router drops packets", "network"), ("my invoice is wrong", "billing")]
MESSAGES = classify(("billing", "network"), "routers drop", DEMOS)
BODY: dict[str, Any] = {"model": MODEL_ID, "messages": MESSAGES, "temperature": 0}
STATUS = {"rate_limited": 429, "quota_exhausted": 429, "server_error": 500, "unavailable": 503}


class TestAnswers:
    async def test_official_sdk_reads_the_answer(self) -> None:
        """The SDK gets the label that the demonstrations show, and the usage that is counted."""
        async with serving() as client:
            sdk = openai.AsyncOpenAI(base_url=str(client.make_url("/v1")), api_key="none")
            async with sdk:
                messages: Any = MESSAGES
                answer = await sdk.chat.completions.create(model=MODEL_ID, messages=messages)
                assert "network" in (answer.choices[0].message.content or "")
                assert answer.usage is not None
                stats = await counts(client)
                assert stats["prompt_tokens"] == answer.usage.prompt_tokens
                assert stats["completion_tokens"] == answer.usage.completion_tokens

    async def test_official_sdk_reads_the_stream(self) -> None:
        """Streamed, the text is the same and the usage comes at the end."""
        async with serving() as client:
            sdk = openai.AsyncOpenAI(base_url=str(client.make_url("/v1")), api_key="none")
            async with sdk:
                messages: Any = MESSAGES
                stream = await sdk.chat.completions.create(
                    model=MODEL_ID,
                    messages=messages,
                    temperature=0,
                    stream=True,
                    stream_options={"include_usage": True},
                )
                chunks = [chunk async for chunk in stream]

            text = "".join(c.choices[0].delta.content or "" for c in chunks if c.choices)
            async with client.post(PATH, json=BODY) as response:
                whole = orjson.loads(await response.read())

            assert text == whole["choices"][0]["message"]["content"]
            assert chunks[-1].usage is not None
            assert chunks[-1].usage.total_tokens == whole["usage"]["total_tokens"]

    async def test_choices_are_samples(self) -> None:
        """At high temperature several choices of one request differ, and a seed repeats them."""
        async with serving() as client:
            messages = classify(("billing", "network"), "invoice of the router", DEMOS)
            body = {**BODY, "messages": messages, "n": 16, "temperature": 2, "seed": 1}
            async with client.post(PATH, json=body) as first, client.post(PATH, json=body) as again:
                one, two = orjson.loads(await first.read()), orjson.loads(await again.read())

            texts = {choice["message"]["content"] for choice in one["choices"]}
            assert len(one["choices"]) == 16
            assert len(texts) > 1
            assert one["choices"] == two["choices"]

    async def test_token_limit_cuts_the_answer(self) -> None:
        """A cut answer says so and is charged for what it holds."""
        async with serving() as client, client.post(PATH, json={**BODY, "max_tokens": 3}) as answer:
            body = orjson.loads(await answer.read())
            assert body["choices"][0]["finish_reason"] == "length"
            assert len(body["choices"][0]["message"]["content"]) == 12
            assert body["usage"]["completion_tokens"] == 3

    async def test_script_may_answer_for_the_model(self) -> None:
        """A fixed answer is sent as it is."""
        async with (
            serving(Script(answer="same")) as client,
            client.post(PATH, json=BODY) as response,
        ):
            body = orjson.loads(await response.read())
            assert body["choices"][0]["message"]["content"] == "same"

    async def test_large_prompt_is_taken(self) -> None:
        """A prompt larger than the megabyte that aiohttp takes by itself is no error."""
        demos = [(f"router {n} {'packet ' * 200}", "network") for n in range(900)]
        body = {**BODY, "messages": classify(("billing", "network"), "x", demos)}
        data = io.BytesIO(orjson.dumps(body))
        async with serving() as client, client.post(PATH, data=data) as response:
            assert response.status == 200

    async def test_models_and_health(self) -> None:
        """The one model is listed, and the server says that it is well."""
        async with serving() as client:
            async with client.get("/v1/models") as response:
                assert orjson.loads(await response.read())["data"][0]["id"] == MODEL_ID

            async with client.get("/health") as response:
                assert response.status == 200


class TestBadRequests:
    @pytest.mark.parametrize(
        ("data", "status", "code"),
        [
            (b"{", 400, None),
            (b"", 400, None),
            (b"[1]", 400, None),
            (orjson.dumps({**BODY, "model": "gpt-9"}), 404, "model_not_found"),
            (orjson.dumps({**BODY, "messages": []}), 400, "invalid_value"),
            (orjson.dumps({**BODY, "tools": [{}]}), 400, "invalid_value"),
        ],
    )
    async def test_refused_in_the_provider_s_shape(
        self, data: bytes, status: int, code: str | None
    ) -> None:
        """Status, type and code are the provider's, and the ledger counts a bad request."""
        async with serving() as client:
            async with client.post(PATH, data=data) as response:
                error = orjson.loads(await response.read())["error"]

            assert (response.status, error["code"]) == (status, code)
            assert error["type"] == "invalid_request_error"
            assert (await counts(client))["bad_requests"] == 1

    async def test_bad_requests_take_no_number(self) -> None:
        """The script's first request is the first good one."""
        async with serving(Script(opening=("server_error",))) as client:
            async with client.post(PATH, data=b"?") as response:
                assert response.status == 400

            async with client.post(PATH, json=BODY) as response:
                assert response.status == 500

    async def test_unknown_path(self) -> None:
        """Only the documented routes exist."""
        async with serving() as client, client.post("/v1/completions", json=BODY) as response:
            assert response.status == 404


class TestFaults:
    @pytest.mark.parametrize("fault", STATUS)
    async def test_error_answers(self, fault: str) -> None:
        """Each has its status and an error body; only a passing limit says when to come back."""
        async with serving(Script(faults=Faults(**{fault: 1.0}), retry_after_s=1.25)) as client:
            async with client.post(PATH, json=BODY) as response:
                error = orjson.loads(await response.read())["error"]

            assert response.status == STATUS[fault]
            assert error["message"]
            passing = fault == "rate_limited"
            assert response.headers.get("Retry-After") == ("2" if passing else None)
            assert response.headers.get("retry-after-ms") == ("1250" if passing else None)

    async def test_quota_is_told_from_rate(self) -> None:
        """The code of the error body is what tells the two apart."""
        codes = []
        async with serving(Script(opening=("rate_limited", "quota_exhausted"))) as client:
            for _ in range(2):
                async with client.post(PATH, json=BODY) as response:
                    codes.append(orjson.loads(await response.read())["error"]["code"])

        assert codes == ["rate_limit_exceeded", "insufficient_quota"]

    @pytest.mark.parametrize("stream", [False, True])
    async def test_reset_comes_before_any_header(self, stream: bool) -> None:
        """The client sees its connection reset, not a short answer."""
        async with serving(Script(opening=("reset",))) as client:
            with pytest.raises(aiohttp.ClientOSError) as caught:
                await client.post(PATH, json={**BODY, "stream": stream})

            assert caught.value.errno == errno.ECONNRESET

    @pytest.mark.parametrize("stream", [False, True])
    async def test_cut_comes_after_half_the_body(self, stream: bool) -> None:
        """Headers and some bytes arrive, then the connection ends early."""
        async with (
            serving(Script(opening=("cut",))) as client,
            client.post(PATH, json={**BODY, "stream": stream}) as response,
        ):
            assert response.status == 200
            assert await response.content.readany()
            with pytest.raises(aiohttp.ClientPayloadError):
                await response.read()

    @pytest.mark.parametrize("stream", [False, True])
    async def test_stall_is_silence_after_half_the_body(self, stream: bool) -> None:
        """The first half comes, then nothing until the client gives up; the server notices."""
        script = Script(opening=("stall",), stall_s=60.0)
        async with serving(script) as client:
            async with client.post(PATH, json={**BODY, "stream": stream}) as response:
                assert await response.content.readany()
                with pytest.raises(TimeoutError):
                    async with asyncio.timeout(0.03):
                        await response.content.readany()

            async def noticed() -> bool:
                return bool((await counts(client))["disconnected"] == 1)

            await eventually(noticed)

    async def test_stall_ends_in_a_cut(self) -> None:
        """A patient client gets a short body in the end."""
        async with (
            serving(Script(opening=("stall",), stall_s=0.01)) as client,
            client.post(PATH, json=BODY) as response,
        ):
            with pytest.raises(aiohttp.ClientPayloadError):
                await response.read()

    async def test_garbage_is_no_json(self) -> None:
        """A 200 proves nothing: the body says JSON and is HTML."""
        async with (
            serving(Script(opening=("garbage",))) as client,
            client.post(PATH, json=BODY) as response,
        ):
            assert response.status == 200
            assert response.content_type == "application/json"
            with pytest.raises(orjson.JSONDecodeError):
                orjson.loads(await response.read())

    async def test_every_fault_is_counted_under_its_name(self) -> None:
        """After one request of each kind every fault's count is one, and the next is served."""
        script = Script(opening=FAULTS, stall_s=0.0, damage=Damage(oversized_bytes=1))
        async with serving(script) as client:
            for _ in FAULTS:
                try:
                    async with client.post(PATH, json=BODY) as response:
                        await response.read()
                except aiohttp.ClientError:
                    pass

            async with client.post(PATH, json=BODY) as response:
                assert response.status == 200

            stats = await counts(client)
            assert stats["faults"] == dict.fromkeys(FAULTS, 1)
            assert stats["completed"] == 1

    async def test_same_script_same_faults(self) -> None:
        """Two servers with one script treat the same sequence of requests alike."""

        async def statuses() -> list[int]:
            script = Script(seed=3, faults=Faults(server_error=0.4, unavailable=0.2))
            async with serving(script) as client:
                seen = []
                for _ in range(30):
                    async with client.post(PATH, json=BODY) as response:
                        seen.append(response.status)

                return seen

        first = await statuses()
        assert first == await statuses()
        assert set(first) == {200, 500, 503}


class TestTime:
    async def test_latency_comes_before_the_answer(self) -> None:
        """An answer takes at least its latency, and requests wait side by side."""
        async with serving(Script(latency=Latency(median_s=0.05))) as client:
            loop = asyncio.get_running_loop()
            started = loop.time()

            async def one() -> int:
                async with client.post(PATH, json=BODY) as response:
                    return response.status

            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(one()) for _ in range(40)]

            assert {task.result() for task in tasks} == {200}
            assert 0.05 <= loop.time() - started < 40 * 0.05
            assert (await counts(client))["max_in_flight"] > 1

    async def test_stream_is_paced(self) -> None:
        """Chunks come apart from each other."""
        async with serving(Script(chunk_interval_s=0.01)) as client:
            reads = 0
            async with client.post(PATH, json={**BODY, "stream": True}) as response:
                async for _ in response.content.iter_any():
                    reads += 1

            assert reads > 2

    async def test_client_that_hangs_up_is_noticed(self) -> None:
        """A request given up during its latency ends at once and counts as disconnected."""
        async with serving(Script(latency=Latency(median_s=60.0))) as client:
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.05):
                    await client.post(PATH, json=BODY)

            async def noticed() -> bool:
                stats = await counts(client)
                return bool((stats["disconnected"], stats["in_flight"]) == (1, 0))

            await eventually(noticed)

    async def test_rate_limit(self) -> None:
        """Past the limit the wait is the rest of the window; in the next window all is well."""
        now_s = 1000.0
        script = Script(rate_limit=RateLimit(requests=2, window_s=10.0))
        async with serving(script, clock=lambda: now_s) as client:
            seen = []
            for step_s in (0.0, 2.5, 1.0, 7.0):
                now_s += step_s
                async with client.post(PATH, json=BODY) as response:
                    seen.append((response.status, response.headers.get("retry-after-ms")))

            assert seen == [(200, None), (200, None), (429, "6500"), (200, None)]
            stats = await counts(client)
            assert stats["over_rate_limit"] == 1
            assert stats["faults"]["rate_limited"] == 0


class TestControl:
    async def test_script_is_replaced_at_run_time(self) -> None:
        """A posted script takes effect at once, and its requests count from 0."""
        async with serving() as client:
            for _ in range(2):
                async with client.post(PATH, json=BODY) as response:
                    assert response.status == 200

                script = Script(opening=("unavailable",))
                async with client.post("/script", data=script.to_json()) as response:
                    assert Script.from_json(await response.read()) == script

                async with client.post(PATH, json=BODY) as response:
                    assert response.status == 503

    async def test_bad_script_changes_nothing(self) -> None:
        """The error names the value, and the script before stays."""
        async with serving(Script(seed=7)) as client:
            async with client.post("/script", data=b'{"faults": {"cut": 2}}') as response:
                error = orjson.loads(await response.read())["error"]

            assert response.status == 400
            assert "faults.cut: must be between 0 and 1, got 2" in error["message"]
            async with client.get("/script") as response:
                assert Script.from_json(await response.read()).seed == 7

    async def test_counts_can_be_reset(self) -> None:
        """After a reset the counts start again."""
        async with serving() as client:
            async with client.post(PATH, json=BODY) as response:
                assert response.status == 200

            async with client.delete("/stats") as response:
                assert response.status == 200

            assert (await counts(client))["requests"] == 0
