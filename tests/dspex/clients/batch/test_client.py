"""Calls through the batch interfaces of the sandbox, on real sockets: whatever happens to them."""

from __future__ import annotations

import asyncio
import errno
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

import orjson
import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

import dspex.effects
from dspex.clients.batch import BatchClient, BatchSettings
from dspex.clients.batch.journal import BatchJournal
from dspex.clients.limits.spending import budget
from dspex.config import CacheSettings, ModelPrice, ProviderSettings
from dspex.errors import (
    BatchFailed,
    BudgetExceeded,
    DeadlineExceeded,
    EndpointUnavailable,
    InvalidRequest,
    LoadError,
    ProviderError,
    ServerError,
    UnsupportedFeature,
)
from dspex.messages import Message, Request, Response, Sampling, StreamEnd
from dspex.runtime import Runtime
from dspex.sandbox import MODEL_ID, Batching, Script, create_app
from dspex.usage import UsageMeter
from supervision.testing import crash

PRICE = ModelPrice(input_usd_per_million_tokens=1, output_usd_per_million_tokens=10)

WIRES = pytest.mark.parametrize("wire", ["openai-chat", "openai-responses", "anthropic-messages"])


def ask(text: str = "hi", **changes: Any) -> Request:
    sampling = Sampling(max_tokens=100)
    return Request((Message("user", text),), sampling=sampling, **changes)


@asynccontextmanager
async def sandbox(**batching: Any) -> AsyncIterator[TestClient[Any, Any]]:
    app = create_app(script=Script(answer="yes", batch=Batching(**batching)))
    async with TestClient(TestServer(app)) as server:
        yield server


def runtime_at(
    server: TestClient[Any, Any], wire: str = "openai-chat", *, cache: bool = False, **more: Any
) -> Runtime:
    provider = ProviderSettings(
        base_url=str(server.make_url("/v1")), wire=wire, prices={MODEL_ID: PRICE}, **more
    )
    return Runtime(
        providers={"sandbox": provider},
        log="off",
        cache=CacheSettings() if cache else None,
    )


def batch_of(runtime: Runtime, journal: Path | None = None, **changes: Any) -> BatchClient:
    settings = BatchSettings(**{"max_wait_s": 0.02, "poll_s": 0.02, "max_poll_s": 0.05} | changes)
    return runtime.batch(f"sandbox/{MODEL_ID}", journal=journal, settings=settings)


async def wires(server: TestClient[Any, Any]) -> dict[str, Any]:
    async with server.get("/stats") as response:
        found: dict[str, Any] = orjson.loads(await response.read())

    return {name: tally for name, tally in found["wires"].items() if name.endswith("_batches")}


async def batches(server: TestClient[Any, Any], wire: str = "openai-chat") -> list[dict[str, Any]]:
    path = "/v1/messages/batches" if wire == "anthropic-messages" else "/v1/batches"
    headers = {"anthropic-version": "2023-06-01"}
    async with server.get(path, headers=headers) as response:
        found: list[dict[str, Any]] = orjson.loads(await response.read())["data"]

    return found


class TestAnswers:
    @WIRES
    async def test_calls_are_those_of_any_client(self, wire: str) -> None:
        """Many calls make one batch; each gets its own answer at the batch's price."""
        async with sandbox() as server, runtime_at(server, wire) as runtime:
            client = batch_of(runtime)
            meter = UsageMeter()
            with dspex.effects.scope(meter=meter):
                responses = await dspex.effects.map(
                    lambda n: client.complete(ask(f"number {n}")), range(20), max_concurrency=20
                )

            out = await batches(server, wire)
            billed = next(iter((await wires(server)).values()))

        assert ["yes"] * 20 == [response.text for response in responses]
        assert 1 == len(out)
        total = meter.total
        assert (20, 0) == (total.calls, total.failed_attempts)
        assert (billed["billed_input_tokens"], billed["billed_output_tokens"]) == (
            total.input_tokens,
            total.output_tokens,
        )
        cost = (total.input_tokens + 10 * total.output_tokens) * Decimal("0.0000005")
        assert cost == total.cost_usd
        assert {"sandbox"} == {response.endpoint for response in responses}

    async def test_a_batch_is_sent_when_it_is_full(self) -> None:
        """Without waiting for its time; what is left over waits for the next."""
        async with sandbox() as server, runtime_at(server) as runtime:
            client = batch_of(runtime, max_requests=4, max_wait_s=0.2)
            await dspex.effects.map(
                lambda n: client.complete(ask(str(n))), range(10), max_concurrency=10
            )
            sizes = [batch["request_counts"]["total"] for batch in await batches(server)]

        assert [2, 4, 4] == sizes

    async def test_a_batch_is_no_larger_than_asked(self) -> None:
        """In bytes, of which a file may only have so many."""
        async with sandbox() as server, runtime_at(server) as runtime:
            client = batch_of(runtime, max_bytes=3_000)
            await dspex.effects.map(
                lambda n: client.complete(ask("x" * 1_000 + str(n))), range(4), max_concurrency=4
            )
            sizes = [batch["request_counts"]["total"] for batch in await batches(server)]

        assert [2, 2] == sizes

    async def test_equal_requests_are_asked_each_for_itself(self) -> None:
        """They have the same digest, and ids of their own."""
        async with sandbox() as server, runtime_at(server) as runtime:
            client = batch_of(runtime)
            await dspex.effects.map(lambda _: client.complete(ask()), range(3), max_concurrency=3)
            (batch,) = await batches(server)

        assert 3 == batch["request_counts"]["completed"]

    async def test_the_cache_is_that_of_live_calls(self) -> None:
        """What a batch has answered is not asked again, by whatever way."""
        async with sandbox() as server, runtime_at(server, cache=True) as runtime:
            await batch_of(runtime).complete(ask())
            again = await runtime.client(f"sandbox/{MODEL_ID}").complete(ask())

        assert again.cached

    async def test_a_stream_comes_whole(self) -> None:
        """For programs that only know streams."""
        async with sandbox() as server, runtime_at(server) as runtime:
            events = [event async for event in batch_of(runtime).stream(ask())]

        assert isinstance(events[-1], StreamEnd)
        assert "yes" == events[-1].response.text

    async def test_a_wire_without_batches_is_named(self) -> None:
        """Before anything is asked."""
        async with sandbox() as server, runtime_at(server, "gemini") as runtime:
            with pytest.raises(UnsupportedFeature, match="'gemini'"):
                batch_of(runtime)

    async def test_is_a_value(self) -> None:
        """Equal by client and queue."""
        async with sandbox() as server, runtime_at(server) as runtime:
            assert batch_of(runtime) == batch_of(runtime)
            assert batch_of(runtime) != batch_of(runtime, max_requests=5)
            assert f"sandbox/{MODEL_ID}" == batch_of(runtime).name


class TestFailures:
    @WIRES
    async def test_a_failed_line_fails_its_own_call(self, wire: str) -> None:
        """With the error it would have had alone; the others are answered."""
        async with sandbox(failed=0.4) as server, runtime_at(server, wire) as runtime:
            client = batch_of(runtime)
            found = await dspex.effects.map(
                lambda n: _outcome(client, ask(str(n))), range(20), max_concurrency=20
            )

        failed = [error for error in found if isinstance(error, ProviderError)]
        assert 0 < len(failed) < 20
        assert {ServerError} == {type(error) for error in failed}
        assert all(len(error.attempts) == 1 for error in failed)
        assert {MODEL_ID} == {error.data.model for error in failed}

    @WIRES
    async def test_a_wrong_request_fails_alone(self, wire: str) -> None:
        """A model that is not there, in a batch of its own model."""
        async with sandbox() as server, runtime_at(server, wire) as runtime:
            client = batch_of(runtime)
            found = await dspex.effects.map(
                lambda model: _outcome(client, ask(model=model)), ["nobody", ""], max_concurrency=2
            )

        assert isinstance(found[0], InvalidRequest)
        assert 404 == found[0].data.status
        assert isinstance(found[1], Response)

    @WIRES
    async def test_an_expired_batch_is_told(self, wire: str) -> None:
        """What was done before counts; the rest is an outage, and no wrong answer."""
        expiry = sandbox(finish_s=1.0, expire_s=0.3)
        async with expiry as server, runtime_at(server, wire) as runtime:
            client = batch_of(runtime)
            found = await dspex.effects.map(
                lambda n: _outcome(client, ask(str(n))), range(10), max_concurrency=10
            )

        failed = [error for error in found if isinstance(error, BatchFailed)]
        assert 5 <= len(failed) < 10
        assert 10 == len(failed) + sum(isinstance(one, Response) for one in found)
        assert all(error.data.code == "expired" and error.unavailable for error in failed)

    @WIRES
    async def test_a_cancelled_batch_is_told(self, wire: str) -> None:
        """By us or by somebody else."""
        async with sandbox(finish_s=30.0) as server, runtime_at(server, wire) as runtime:
            client = batch_of(runtime)
            async with asyncio.TaskGroup() as group:
                calls = [group.create_task(_outcome(client, ask(str(n)))) for n in range(3)]
                await until(lambda: batches(server, wire))
                await until(client.cancel)

        found = [call.result() for call in calls]
        assert {BatchFailed} == {type(error) for error in found}
        assert {"cancelled"} == {e.data.code for e in found if isinstance(e, BatchFailed)}

    @pytest.mark.parametrize(
        "opening",
        [
            ("unavailable", "ok", "unavailable"),
            ("ok", "reset"),
            ("ok", "ok", "reset", "unavailable"),
            ("ok", "ok", "ok", "cut"),
        ],
    )
    async def test_what_fails_on_the_way_is_tried_again(self, opening: tuple[Any, ...]) -> None:
        """Going up, being made, being asked after, coming down: nothing is sent twice."""
        async with sandbox(opening=opening) as server, runtime_at(server) as runtime:
            responses = await dspex.effects.map(
                lambda n: batch_of(runtime).complete(ask(str(n))), range(3), max_concurrency=3
            )
            out = await batches(server)

        assert ["yes"] * 3 == [response.text for response in responses]
        assert 1 == len(out)

    async def test_a_refused_batch_fails_its_calls(self) -> None:
        """With what the provider said."""
        async with sandbox() as server, runtime_at(server, wire="openai-chat") as runtime:
            client = batch_of(runtime)
            # The sandbox knows no such endpoint: the path of the wire is not among its batches.
            batcher = await client._queue.batcher()
            waiter = batcher.join(_line("/elsewhere"))
            with pytest.raises(InvalidRequest):
                await waiter.answered

    async def test_a_call_keeps_its_deadline(self) -> None:
        """The batch goes on without it."""
        async with sandbox(finish_s=30.0) as server, runtime_at(server) as runtime:
            with pytest.raises(DeadlineExceeded) as caught:
                await batch_of(runtime).complete(ask(), timeout_s=0.2)

        assert "batch" == caught.value.data.stage


class TestBudget:
    async def test_is_drawn_from_before_and_settled_after(self) -> None:
        """At the batch's price; a call for which there is no room is not sent."""
        async with sandbox() as server, runtime_at(server) as runtime:
            client = batch_of(runtime)
            with budget(usd="0.0031") as purse:
                found = await dspex.effects.map(
                    lambda n: _outcome(client, ask(str(n))), range(4), max_concurrency=4
                )

        used = purse.statistics()
        assert Decimal(0) == used.reserved_usd
        cost = [r.usage.cost_usd for r in found if isinstance(r, Response)]
        assert sum(c for c in cost if c is not None) == used.used_usd
        assert all(isinstance(one, Response | BudgetExceeded) for one in found)


class TestRestart:
    @WIRES
    async def test_a_new_run_adopts_what_is_out(self, wire: str, tmp_path: Path) -> None:
        """The same questions find the batch they are in; nothing is paid twice."""
        journal = tmp_path / "batches.jsonl"
        async with sandbox(finish_s=0.5) as server:
            async with runtime_at(server, wire) as runtime:
                client = batch_of(runtime, journal)
                async with asyncio.TaskGroup() as group:
                    calls = [group.create_task(_outcome(client, ask(str(n)))) for n in range(5)]
                    await until(lambda: _is_out(journal))

                    for call in calls:
                        call.cancel()

            async with runtime_at(server, wire) as runtime:
                client = batch_of(runtime, journal)
                responses = await dspex.effects.map(
                    lambda n: client.complete(ask(str(n))), reversed(range(5)), max_concurrency=5
                )

            out = await batches(server, wire)

        assert ["yes"] * 5 == [response.text for response in responses]
        assert 1 == len(out)

    async def test_results_are_there_for_a_third_run_too(self, tmp_path: Path) -> None:
        """A run that was stopped after its results had come finds them again."""
        journal = tmp_path / "batches.jsonl"
        async with sandbox() as server:
            for _ in range(3):
                async with runtime_at(server) as runtime:
                    response = await batch_of(runtime, journal).complete(ask())
                    assert "yes" == response.text

            assert 1 == len(await batches(server))

    async def test_what_could_not_even_be_sent_up_leaves_a_good_journal(
        self, tmp_path: Path
    ) -> None:
        """The next run opens it."""
        journal = tmp_path / "batches.jsonl"

        async def refuse(_: web.Request) -> web.Response:
            return web.json_response({"error": {"message": "no files today"}}, status=400)

        app = web.Application()
        app.router.add_post("/v1/files", refuse)
        async with TestClient(TestServer(app)) as refusing, runtime_at(refusing) as runtime:
            with pytest.raises(InvalidRequest):
                await batch_of(runtime, journal).complete(ask())

        async with sandbox() as server, runtime_at(server) as runtime:
            response = await batch_of(runtime, journal).complete(ask())

        assert "yes" == response.text

    @pytest.mark.parametrize("record", ["begin", "made"])
    async def test_a_full_disk_costs_no_more_than_the_calls_of_that_time(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, record: str
    ) -> None:
        """What cannot be noted is not sent; what was sent and cannot be noted is still answered."""

        def full(*_: object) -> None:
            raise OSError(errno.ENOSPC, "No space left on device")

        async with sandbox() as server, runtime_at(server) as runtime:
            client = batch_of(runtime, tmp_path / "batches.jsonl")
            with monkeypatch.context() as patch:
                patch.setattr(BatchJournal, record, full)
                if record == "begin":
                    waiter = (await client._queue.batcher()).join(_line("/chat/completions"))
                    with pytest.raises(EndpointUnavailable, match="No space left"):
                        await waiter.answered

                else:
                    assert "yes" == (await client.complete(ask("first"))).text

            batcher = await client._queue.batcher()
            assert "yes" == (await client.complete(ask("second"))).text
            assert batcher is await client._queue.batcher()  # and its child has not crashed
            assert (1 if record == "begin" else 2) == len(await batches(server))

    async def test_what_failed_is_asked_again(self, tmp_path: Path) -> None:
        """An error is no answer that a new run should be given."""
        journal = tmp_path / "batches.jsonl"
        async with sandbox(failed=1.0) as server:
            for _ in range(2):
                async with runtime_at(server) as runtime:
                    with pytest.raises(ServerError):
                        await batch_of(runtime, journal).complete(ask())

            assert 2 == len(await batches(server))

    async def test_a_batch_that_was_made_in_the_moment_of_a_crash_is_found(
        self, tmp_path: Path
    ) -> None:
        """The journal has its name, if not yet its id; the list of batches has both."""
        journal = tmp_path / "batches.jsonl"
        async with sandbox() as server:
            async with runtime_at(server) as runtime:
                await batch_of(runtime, journal).complete(ask())

            begun, *_ = _read(journal).splitlines(keepends=True)
            journal.write_bytes(begun)
            async with runtime_at(server) as runtime:
                await batch_of(runtime, journal).complete(ask())

            assert 1 == len(await batches(server))

    @WIRES
    async def test_a_batch_that_is_not_there_is_made_anew(self, wire: str, tmp_path: Path) -> None:
        """Whether it never was, or its results are gone."""
        journal = tmp_path / "batches.jsonl"
        async with sandbox() as server, runtime_at(server, wire) as runtime:
            await batch_of(runtime, journal).complete(ask())

        for records in (_read(journal), _read(journal).splitlines(keepends=True)[0]):
            journal.write_bytes(records)
            async with sandbox() as server, runtime_at(server, wire) as runtime:
                response = await batch_of(runtime, journal).complete(ask())
                assert "yes" == response.text

    async def test_a_crash_of_the_child_costs_only_time(self, tmp_path: Path) -> None:
        """With a journal nothing is sent twice; the waiting calls go on."""
        journal = tmp_path / "batches.jsonl"
        async with sandbox(finish_s=0.25) as server, runtime_at(server) as runtime:
            client = batch_of(runtime, journal)
            async with asyncio.TaskGroup() as group:
                calls = [group.create_task(client.complete(ask(str(n)))) for n in range(3)]
                await until(lambda: _is_out(journal))

                ref = client._queue._ref
                assert ref is not None
                crash(ref)

            out = await batches(server)

        assert ["yes"] * 3 == [call.result().text for call in calls]
        assert 1 == len(out)

    async def test_a_file_that_is_no_journal_is_refused(self, tmp_path: Path) -> None:
        """And left as it is."""
        path = tmp_path / "notes.txt"
        path.write_text("buy milk\n")
        async with sandbox() as server, runtime_at(server) as runtime:
            with pytest.raises(LoadError, match=r"notes\.txt, line 1"):
                await batch_of(runtime, path).complete(ask())

        assert "buy milk\n" == path.read_text()


async def until(condition: Callable[[], Awaitable[object]]) -> None:
    async with asyncio.timeout(5):
        while not await condition():  # noqa: ASYNC110 - the condition is asked of a server
            await asyncio.sleep(0.01)


async def _is_out(journal: Path) -> bool:
    return b'"batch"' in _read(journal)


def _read(path: Path) -> bytes:
    return path.read_bytes() if path.exists() else b""


def _line(path: str) -> Any:
    from dspex.clients.batch.line import BatchLine

    return BatchLine("id-0", MODEL_ID, path, b"{}")


async def _outcome(client: BatchClient, request: Request) -> Response | ProviderError:
    try:
        return await client.complete(request)
    except ProviderError as exc:
        return exc
