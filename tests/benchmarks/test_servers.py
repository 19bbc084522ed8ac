"""The load server, whichever there is."""

from __future__ import annotations

import asyncio

import pytest

from benchmarks import servers
from benchmarks.measuring import Cost
from benchmarks.reference import bare_caller, bare_calls
from benchmarks.servers import ANSWER, find_nginx, load_server, server_words
from dspex.adapters.chat import ChatAdapter
from dspex.messages import Choice
from dspex.programs.chain_of_thought import ChainOfThought


async def ask_once(latency_s: float) -> tuple[str, float]:
    """Start the server, ask it once, and return the answer and how long it took."""
    async with load_server((0.0, 0.2)) as server, bare_caller(server.base_url(latency_s)) as call:
        body = b'{"model": "%s", "messages": [{"role": "user", "content": "2 + 2?"}]}'
        began = asyncio.get_running_loop().time()
        text = await call(body % server.model.encode())
        return text, asyncio.get_running_loop().time() - began


async def bare_loop() -> Cost:
    """Start the server and run the bare loop against it."""
    async with load_server((0.0,)) as server, bare_caller(server.base_url(0.0)) as call:
        return await bare_calls(call, server.model, calls=20, in_flight=4)


@pytest.mark.slow
@pytest.mark.skipif(find_nginx() is None, reason="needs nginx with its echo module")
class TestNginx:
    async def test_answers_what_a_program_reads(self) -> None:
        """The text holds both fields of a ChainOfThought, quotes and line ends intact."""
        text, _ = await ask_once(0.0)
        signature = ChainOfThought("question -> answer").signature
        assert ChatAdapter().parse(signature, Choice(text))["answer"] == ANSWER

    async def test_waits_as_long_as_asked(self) -> None:
        """A latency is the server's, so that calls overlap."""
        _, took_s = await ask_once(0.2)
        assert took_s >= 0.2

    async def test_serves_the_bare_loop(self) -> None:
        """The reference runs against it."""
        assert (await bare_loop()).calls == 20


@pytest.mark.slow
class TestSandbox:
    @pytest.fixture(autouse=True)
    def no_nginx(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Pretend that nginx is not installed."""
        monkeypatch.setattr(servers, "find_nginx", lambda: None)

    async def test_stands_in(self) -> None:
        """Without nginx the project's own server gives the same text, after the same wait."""
        text, took_s = await ask_once(0.2)
        assert f"[[ ## answer ## ]]\n{ANSWER}\n" in text
        assert took_s >= 0.2

    async def test_serves_the_bare_loop(self) -> None:
        """The reference asks for a model that this server has."""
        assert (await bare_loop()).calls == 20

    def test_is_named_as_slow(self) -> None:
        """Whoever reads the figures is told."""
        assert "SLOW SERVER" in server_words()
