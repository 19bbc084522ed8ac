"""Faults, limits and counts on every wire, over real sockets, times scaled to milliseconds."""

from __future__ import annotations

import asyncio
import errno
from typing import Any

import aiohttp
import anthropic
import openai
import orjson
import pytest
from cohere.core.api_error import ApiError
from google.genai import errors as gemini_errors

from dspex.sandbox import (
    FAULTS,
    MODEL_ID,
    Damage,
    Faults,
    RateLimit,
    RetryHint,
    Script,
    Streaming,
)
from tests.dspex.sandbox.sdks import anthropic_sdk, cohere_sdk, gemini_sdk, openai_sdk
from tests.dspex.sandbox.serving import CHATS, Chat, counts, eventually, serving, wire_counts

every_wire = pytest.mark.parametrize("chat", CHATS, ids=lambda chat: chat.name)
both_ways = pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])

STATUSES = {
    "unauthorized": 401,
    "forbidden": 403,
    "not_found": 404,
    "request_timeout": 408,
    "conflict": 409,
    "too_large": 413,
    "context_window": 400,
    "rate_limited": 429,
    "quota_exhausted": 429,
    "server_error": 500,
    "bad_gateway": 502,
    "unavailable": 503,
    "gateway_timeout": 504,
    "overloaded": 529,
}
LONG = "a long answer " * 20
WALL_S = 1_800_000_000.25


def said(name: str, body: Any) -> str:
    """Return the message in an error body of a wire, checked for the wire's shape."""
    match name:
        case "openai_chat" | "openai_responses":
            assert set(body["error"]) == {"message", "type", "param", "code"}
            return str(body["error"]["message"])
        case "anthropic":
            assert (body["type"], "type" in body["error"]) == ("error", True)
            return str(body["error"]["message"])
        case "gemini":
            assert {"code", "message", "status"} <= set(body["error"])
            return str(body["error"]["message"])
        case _:
            assert set(body) == {"id", "message"}
            return str(body["message"])


class TestErrors:
    @every_wire
    async def test_each_error_in_the_wire_s_own_words(self, chat: Chat) -> None:
        """Every error answer has its status and the shape of the wire that was asked."""
        script = Script(opening=tuple(STATUSES))  # type: ignore[arg-type] # names of faults
        async with serving(script) as client:
            for fault, status in STATUSES.items():
                async with client.post(**chat.request()) as response:
                    body = orjson.loads(await response.read())

                spent = chat.name == "anthropic" and fault == "quota_exhausted"
                assert response.status == (402 if spent else status), fault
                assert said(chat.name, body)

            tally = await wire_counts(client, chat.name)
            assert tally["billed_input_tokens"] == 0

    async def test_context_window_in_each_wire_s_words(self) -> None:
        """What a client looks for in the message is there."""
        words = {
            "openai_chat": "maximum context length",
            "openai_responses": "maximum context length",
            "anthropic": "prompt is too long",
            "gemini": "exceeds the maximum number of tokens",
            "cohere": "too many tokens",
        }
        async with serving(Script(faults=Faults(context_window=1.0))) as client:
            for chat in CHATS:
                async with client.post(**chat.request()) as response:
                    assert words[chat.name] in said(chat.name, orjson.loads(await response.read()))

    async def test_openai_sdk_has_the_right_exception(self) -> None:
        """Each status is the SDK's own class."""
        classes = {
            "unauthorized": openai.AuthenticationError,
            "forbidden": openai.PermissionDeniedError,
            "not_found": openai.NotFoundError,
            "conflict": openai.ConflictError,
            "rate_limited": openai.RateLimitError,
            "context_window": openai.BadRequestError,
            "overloaded": openai.InternalServerError,
            "reset": openai.APIConnectionError,
        }
        script = Script(opening=tuple(classes))  # type: ignore[arg-type] # names of faults
        async with openai_sdk(script) as (sdk, _):
            for expected in classes.values():
                with pytest.raises(expected):
                    await sdk.responses.create(model=MODEL_ID, input="x")

    async def test_anthropic_sdk_has_the_right_exception(self) -> None:
        """Each status is the SDK's own class."""
        classes = {
            "unauthorized": anthropic.AuthenticationError,
            "too_large": anthropic.APIStatusError,
            "rate_limited": anthropic.RateLimitError,
            "overloaded": anthropic.InternalServerError,
            "reset": anthropic.APIConnectionError,
        }
        script = Script(opening=tuple(classes))  # type: ignore[arg-type] # names of faults
        async with anthropic_sdk(script) as (sdk, _):
            for expected in classes.values():
                with pytest.raises(expected):
                    await sdk.messages.create(
                        model=MODEL_ID, max_tokens=9, messages=[{"role": "user", "content": "x"}]
                    )

    @pytest.mark.filterwarnings("ignore:Inheritance class:DeprecationWarning")
    async def test_gemini_sdk_has_the_right_exception(self) -> None:
        """Errors of clients and of servers are told apart, with code and status."""
        faults = {"rate_limited": 429, "forbidden": 403, "unavailable": 503, "server_error": 500}
        script = Script(opening=tuple(faults))  # type: ignore[arg-type] # names of faults
        async with gemini_sdk(script) as (sdk, _):
            for code in faults.values():
                with pytest.raises(gemini_errors.APIError) as caught:
                    await sdk.models.generate_content(model=MODEL_ID, contents="x")

                assert caught.value.code == code
                server = isinstance(caught.value, gemini_errors.ServerError)
                assert server == (code >= 500)

    async def test_cohere_sdk_has_the_right_exception(self) -> None:
        """Each status reaches the SDK's error, with the wire's body."""
        faults = {"forbidden": 403, "unavailable": 503, "server_error": 500}
        script = Script(opening=tuple(faults))  # type: ignore[arg-type] # names of faults
        async with cohere_sdk(script) as (sdk, _):
            for code in faults.values():
                with pytest.raises(ApiError) as caught:
                    await sdk.chat(
                        model=MODEL_ID,
                        messages=[cohere_message()],
                        request_options={"max_retries": 0},
                    )

                assert caught.value.status_code == code


def cohere_message() -> Any:
    return {"role": "user", "content": "x"}


class TestRetryHints:
    @pytest.mark.parametrize(
        ("name", "form", "header", "value"),
        [
            ("openai_chat", "wire", "retry-after-ms", "1500"),
            ("openai_chat", "seconds", "Retry-After", "2"),
            ("openai_chat", "date", "Retry-After", "Fri, 15 Jan 2027 08:00:02 GMT"),
            ("openai_chat", "reset", "x-ratelimit-reset-requests", "1.500s"),
            ("anthropic", "wire", "Retry-After", "2"),
            ("anthropic", "reset", "anthropic-ratelimit-requests-reset", "2027-01-15T08:00:02Z"),
            ("cohere", "wire", "x-ratelimit-reset", "1800000002"),
            ("cohere", "milliseconds", "retry-after-ms", "1500"),
        ],
    )
    async def test_forms(self, name: str, form: Any, header: str, value: str) -> None:
        """A 429 says when to come back in the form that the script asks for."""
        chat = next(chat for chat in CHATS if chat.name == name)
        script = Script(opening=("rate_limited",), retry_after_s=1.5, retry=RetryHint(form=form))
        async with (
            serving(script, wall_clock=lambda: WALL_S) as client,
            client.post(**chat.request()) as response,
        ):
            assert response.headers.get(header) == value

    @pytest.mark.parametrize("fault", ["rate_limited", "quota_exhausted"])
    async def test_gemini_tells_it_in_the_body(self, fault: Any) -> None:
        """The delay is in RetryInfo, in no header; a daily quota has a short delay all the same."""
        chat = next(chat for chat in CHATS if chat.name == "gemini")
        async with (
            serving(Script(opening=(fault,), retry_after_s=1.5)) as client,
            client.post(**chat.request()) as response,
        ):
            quota, retry = orjson.loads(await response.read())["error"]["details"]
            assert "Retry-After" not in response.headers
            daily = fault == "quota_exhausted"
            assert ("PerDay" in quota["violations"][0]["quotaId"]) == daily
            assert retry["retryDelay"] == ("19s" if daily else "1.5s")

    @every_wire
    async def test_none(self, chat: Chat) -> None:
        """Silence about it is possible too; and any error may say whether to retry."""
        script = Script(
            opening=("rate_limited", "server_error"),
            retry=RetryHint(form="none", should_retry=False),
        )
        async with serving(script) as client:
            for _ in range(2):
                async with client.post(**chat.request()) as response:
                    assert response.headers["x-should-retry"] == "false"
                    assert not {"Retry-After", "retry-after-ms"} & set(response.headers)
                    assert b"RetryInfo" not in await response.read()


class TestLimits:
    @every_wire
    async def test_tokens_are_limited(self, chat: Chat) -> None:
        """A window's tokens are charged when requests come; then it is a 429 of the wire."""
        script = Script(answer="a", rate_limit=RateLimit(tokens=3))
        changes: dict[str, Any] = {"max_tokens": 1} if chat.name == "anthropic" else {}
        one = chat.request(**changes)
        async with serving(script) as client:
            async with client.post(**one) as first, client.post(**one) as second:
                assert {first.status, second.status} <= {200, 429}

            assert (await wire_counts(client, chat.name))["over_rate_limit"] >= 1

    @pytest.mark.parametrize(
        ("name", "headers"),
        [
            (
                "openai_chat",
                {
                    "x-ratelimit-limit-requests": "9",
                    "x-ratelimit-remaining-requests": "8",
                    "x-ratelimit-reset-requests": "60.000s",
                    "x-ratelimit-limit-tokens": "5000",
                    "x-ratelimit-remaining-tokens": "4997",
                },
            ),
            (
                "anthropic",
                {
                    "anthropic-ratelimit-requests-remaining": "8",
                    "anthropic-ratelimit-tokens-limit": "5000",
                    "anthropic-ratelimit-requests-reset": "2027-01-15T08:01:00.250000Z",
                },
            ),
            ("cohere", {"x-ratelimit-remaining": "8", "x-ratelimit-reset": "1800000061"}),
        ],
    )
    async def test_good_answers_say_what_is_left(self, name: str, headers: dict[str, str]) -> None:
        """With a limit, each wire's headers tell limit, rest and reset."""
        chat = next(chat for chat in CHATS if chat.name == name)
        script = Script(rate_limit=RateLimit(requests=9, tokens=5000))
        async with (
            serving(script, clock=lambda: 5.0, wall_clock=lambda: WALL_S) as client,
            client.post(**chat.request()) as response,
        ):
            assert response.status == 200
            assert headers == {key: response.headers.get(key) for key in headers}

    async def test_capacity(self) -> None:
        """Beyond the number at once, the next is told that the server is unavailable."""
        chat = CHATS[0]
        async with serving(Script(max_in_flight=1, answer="a")) as client:
            async with client.post("/pause"):
                pass

            waiting = asyncio.create_task(client.post(**chat.request()))

            async def arrived() -> bool:
                return bool((await counts(client))["in_flight"] == 1)

            await eventually(arrived)
            second = asyncio.create_task(client.post(**chat.request()))
            async with client.post("/resume"):
                pass

            statuses = [(await waiting).status, (await second).status]
            assert statuses[0] in (200, 503)
            assert 200 in statuses


class TestPause:
    @every_wire
    async def test_nothing_is_answered_until_resumed(self, chat: Chat) -> None:
        """Requests pile up while the server is paused, and are answered when it goes on."""
        async with serving() as client:
            async with client.post("/pause"):
                pass

            waiting = [asyncio.create_task(client.post(**chat.request())) for _ in range(3)]

            async def arrived() -> bool:
                return bool((await counts(client))["in_flight"] == 3)

            await eventually(arrived)
            assert (await counts(client))["completed"] == 0
            async with client.post("/resume"):
                pass

            assert [(await task).status for task in waiting] == [200] * 3

    async def test_port_cannot_be_closed_in_process(self) -> None:
        """Only a server that holds its own socket can refuse connections."""
        async with serving() as client, client.post("/refuse", json={"for_s": 1}) as response:
            assert response.status == 400


class TestDamage:
    @every_wire
    @both_ways
    async def test_reset_before_headers(self, chat: Chat, *, stream: bool) -> None:
        """The client sees its connection reset."""
        async with serving(Script(opening=("reset",))) as client:
            with pytest.raises(aiohttp.ClientOSError) as caught:
                await client.post(**chat.request(stream=stream))

            assert caught.value.errno == errno.ECONNRESET

    @every_wire
    @both_ways
    @pytest.mark.parametrize("fault", ["cut", "reset_body", "stall"])
    async def test_body_that_ends_early(self, chat: Chat, fault: Any, *, stream: bool) -> None:
        """Some bytes arrive, then the connection ends; what was made is billed."""
        script = Script(opening=(fault,), answer=LONG, stall_s=0.01)
        async with serving(script) as client:
            async with client.post(**chat.request(stream=stream)) as response:
                assert response.status == 200
                with pytest.raises((aiohttp.ClientPayloadError, aiohttp.ClientOSError)):
                    await response.read()

            async def billed() -> bool:
                return bool((await wire_counts(client, chat.name))["billed_output_tokens"])

            await eventually(billed)
            tally = await wire_counts(client, chat.name)
            assert tally["faults"][fault] == 1
            assert tally["completion_tokens"] == 0
            assert (tally["billed_output_tokens"] < 70) == stream

    async def test_cut_after_so_many_tokens(self) -> None:
        """A stream may be cut after a given number of tokens; these are what is billed."""
        script = Script(
            opening=("cut",),
            answer=LONG,
            damage=Damage(after_tokens=13),
            stream=Streaming(chunk_tokens=2),
        )
        async with serving(script) as client:
            for chat in CHATS:
                async with client.post("/script", data=script.to_json()):
                    pass

                async with client.post(**chat.request(stream=True)) as response:
                    with pytest.raises(aiohttp.ClientPayloadError):
                        await response.read()

                tally = await wire_counts(client, chat.name)
                assert tally["billed_output_tokens"] == 12, chat.name

    async def test_stall_before_headers(self) -> None:
        """Silence instead of an answer, then the connection ends."""
        async with serving(Script(opening=("stall_headers",), stall_s=0.01)) as client:
            with pytest.raises(aiohttp.ServerDisconnectedError):
                await client.post(**CHATS[0].request())

    @every_wire
    @both_ways
    async def test_slow_drip_arrives_whole(self, chat: Chat, *, stream: bool) -> None:
        """A few bytes at a time, the answer is the one that comes at once."""
        script = Script(
            opening=("slow_drip",),
            answer="drop by drop",
            damage=Damage(drip_bytes=100, drip_interval_s=0.0),
        )
        async with serving(script) as client:
            async with client.post(**chat.request(stream=stream)) as response:
                slow = await response.read()

            async with client.post(**chat.request(stream=stream)) as response:
                fast = await response.read()

        assert len(slow) == len(fast)
        assert slow.count(b"drop") == fast.count(b"drop")

    async def test_oversized_goes_on_until_the_client_stops(self) -> None:
        """Megabytes come; when the client hangs up the server notices."""
        async with serving(Script(opening=("oversized",))) as client:
            async with client.post(**CHATS[0].request()) as response:
                assert len(await response.content.readexactly(3_000_000)) == 3_000_000

            async def noticed() -> bool:
                return bool((await counts(client))["disconnected"] == 1)

            await eventually(noticed)

    @every_wire
    @both_ways
    @pytest.mark.parametrize(
        ("fault", "status", "kind"),
        [
            ("garbage", 200, "application/json"),
            ("html_error", 502, "text/html"),
            ("html_page", 200, "text/html"),
            ("wrong_type", 200, "text/plain"),
        ],
    )
    async def test_wrong_kind_of_answer(
        self, chat: Chat, fault: Any, status: int, kind: str, *, stream: bool
    ) -> None:
        """Status and content type are those of a gateway, or lie."""
        async with (
            serving(Script(opening=(fault,))) as client,
            client.post(**chat.request(stream=stream)) as response,
        ):
            body = await response.read()
            assert (response.status, response.content_type) == (status, kind)
            assert body.startswith(b"<html>") == (fault != "wrong_type")

    @every_wire
    async def test_malformed_json(self, chat: Chat) -> None:
        """The body has the length announced and is half of a JSON object."""
        async with (
            serving(Script(opening=("malformed_json",))) as client,
            client.post(**chat.request()) as response,
        ):
            with pytest.raises(orjson.JSONDecodeError):
                orjson.loads(await response.read())

    @every_wire
    async def test_malformed_event(self, chat: Chat) -> None:
        """One event of a stream is no JSON; those before and after it are."""
        async with (
            serving(Script(opening=("malformed_event",), answer=LONG)) as client,
            client.post(**chat.request(stream=True)) as response,
        ):
            events = [event for event in (await response.read()).split(b"\n\n") if event]
            broken = [event for event in events if not _is_json(event)]
            assert len(broken) == 1
            assert events.index(broken[0]) < len(events) - 1

    @every_wire
    async def test_stream_error(self, chat: Chat) -> None:
        """The stream ends in the wire's own error, and in good order."""
        async with (
            serving(Script(opening=("stream_error",), answer=LONG)) as client,
            client.post(**chat.request(stream=True)) as response,
        ):
            last = [event for event in (await response.read()).split(b"\n\n") if event][-1]
            assert b"verloaded" in last
            assert last.startswith(b"data:") == (chat.name == "openai_chat")

    @every_wire
    @both_ways
    async def test_failed_with_status_200(self, chat: Chat, *, stream: bool) -> None:
        """The status is good and the body says that it is not."""
        async with (
            serving(Script(opening=("failed",))) as client,
            client.post(**chat.request(stream=stream)) as response,
        ):
            assert response.status == 200
            assert b"The server had an error." in await response.read()

    @every_wire
    @both_ways
    async def test_every_fault_has_its_count(self, chat: Chat, *, stream: bool) -> None:
        """After one request of each kind every count is one, and the next is served."""
        script = Script(
            opening=FAULTS,
            stall_s=0.0,
            damage=Damage(oversized_bytes=1, drip_bytes=10_000, drip_interval_s=0.0),
        )
        async with serving(script) as client:
            for _ in FAULTS:
                try:
                    async with client.post(**chat.request(stream=stream)) as response:
                        await response.read()
                except aiohttp.ClientError:
                    pass

            async with client.post(**chat.request(stream=stream)) as response:
                assert response.status == 200
                await response.read()

            tally = await wire_counts(client, chat.name)
            assert tally["faults"] == dict.fromkeys(FAULTS, 1)
            assert tally["completed"] == 1


def _is_json(event: bytes) -> bool:
    """Say whether the data of an event is JSON, or the end mark."""
    data = event.partition(b"data: ")[2]
    try:
        orjson.loads(data)
    except orjson.JSONDecodeError:
        return data == b"[DONE]"

    return True


class TestStreams:
    @every_wire
    async def test_counts_of_whole_and_stream_agree(self, chat: Chat) -> None:
        """The ledger bills the same for an answer whether or not it is streamed."""
        async with serving(Script(answer=LONG)) as client:
            bills = []
            for stream in (False, True):
                async with client.post(**chat.request(stream=stream)) as response:
                    await response.read()

                tally = await wire_counts(client, chat.name)
                bills.append((tally["billed_input_tokens"], tally["billed_output_tokens"]))

            assert bills[1] == (2 * bills[0][0], 2 * bills[0][1])

    async def test_cadence(self) -> None:
        """So many tokens a second take their time."""
        stream = Streaming(chunk_tokens=5, tokens_per_s=1000.0)
        async with serving(Script(answer="x" * 200, stream=stream)) as client:
            loop = asyncio.get_running_loop()
            started = loop.time()
            async with client.post(**CHATS[0].request(stream=True)) as response:
                await response.read()

            assert loop.time() - started >= 0.05

    async def test_reader_who_leaves_pays_for_what_was_sent(self) -> None:
        """A stream that is given up is billed as far as it had come."""
        stream = Streaming(chunk_tokens=1, tokens_per_s=500.0)
        async with serving(Script(answer=LONG, stream=stream)) as client:
            async with client.post(**CHATS[0].request(stream=True)) as response:
                await response.content.readany()
                await response.content.readany()

            async def noticed() -> bool:
                return bool((await counts(client))["disconnected"] == 1)

            await eventually(noticed)
            tally = await wire_counts(client, "openai_chat")
            assert 0 < tally["billed_output_tokens"] < 70


class TestModels:
    @every_wire
    async def test_unknown_model(self, chat: Chat) -> None:
        """A model that is not served is a 404 of the wire; the script may name more."""
        path = chat.path.replace(MODEL_ID, "other")
        body = chat.body | ({"model": "other"} if "model" in chat.body else {})
        async with (
            serving() as client,
            client.post(path, json=body, headers=chat.headers) as response,
        ):
            assert response.status == 404
            assert "other" in said(chat.name, orjson.loads(await response.read()))

        async with (
            serving(Script(models=("other",))) as client,
            client.post(path, json=body, headers=chat.headers) as response,
        ):
            assert response.status == 200
