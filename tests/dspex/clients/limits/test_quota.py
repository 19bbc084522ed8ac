"""Quota protocols: what a source of leases promises."""

from __future__ import annotations

import dataclasses

import pytest

from dspex.clients.limits.limiter import RequestLimiter
from dspex.clients.limits.quota import QuotaLease, QuotaSource, QuotaStatistics
from dspex.usage import Usage


class FakeLease:
    """A lease that remembers what became of it."""

    def __init__(self) -> None:
        self.outcome: Usage | str | None = None

    def settle(self, usage: Usage) -> None:
        self.outcome = usage

    def refund(self) -> None:
        self.outcome = "refunded"


class FakeSource:
    """A source somebody else might write: another process hands out the leases."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, int]] = []

    def try_acquire(
        self, *, key: str, tokens: int, output_tokens: int = 0, user: str = ""
    ) -> QuotaLease | None:
        return None

    async def acquire(
        self, *, key: str, tokens: int, output_tokens: int = 0, user: str = ""
    ) -> QuotaLease:
        self.asked.append((key, tokens))
        return FakeLease()

    def pause(self, for_s: float, *, limit_per_min: float | None = None) -> None:
        self.asked.append(("pause", int(for_s)))

    def refused(self) -> None:
        self.asked.append(("refused", 1))

    def statistics(self) -> QuotaStatistics:
        return QuotaStatistics(granted=len(self.asked))


async def call(source: QuotaSource) -> QuotaStatistics:
    """Use a source as a client does."""
    lease = await source.acquire(key="openai/gpt", tokens=7)
    lease.settle(Usage(input_tokens=3))
    return source.statistics()


class TestQuotaSource:
    async def test_limiter_of_this_process_is_one(self) -> None:
        """A `RequestLimiter` goes where a source is wanted."""
        assert (await call(RequestLimiter())).granted == 1

    async def test_source_elsewhere_is_one_too(self) -> None:
        """So does a source that knows nothing of limiters, and it hears key and estimate."""
        source = FakeSource()
        assert (await call(source)).granted == 1
        assert source.asked == [("openai/gpt", 7)]


class TestQuotaStatistics:
    def test_nothing_is_limited_by_default(self) -> None:
        """A fresh snapshot has no rates and nobody waiting."""
        fresh = QuotaStatistics()
        assert (fresh.waiting, fresh.requests_per_min, fresh.tokens_free) == (0, None, None)

    def test_snapshot_does_not_change(self) -> None:
        """A snapshot is a value."""
        with pytest.raises(dataclasses.FrozenInstanceError):
            QuotaStatistics().waiting = 3  # type: ignore[misc]  # what is tested
