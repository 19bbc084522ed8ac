"""The bucket: aiolimiter's level, corrected."""

from __future__ import annotations

import asyncio

import pytest
from aiolimiter import AsyncLimiter

from dspex.clients.limits.bucket import Bucket

pytestmark = pytest.mark.virtual_time


class TestBucket:
    async def test_it_is_an_aiolimiter(self) -> None:
        """Its own interface still works, on the same level."""
        bucket = Bucket(60, burst=2)
        assert isinstance(bucket, AsyncLimiter)
        await bucket.acquire(2)
        assert bucket.free == 0.0
        assert not bucket.take(1)

    async def test_it_leaks_at_its_rate(self) -> None:
        """A full bucket has room for one after a minute's share of one."""
        bucket = Bucket(60, burst=2)
        assert bucket.take(2)
        assert bucket.wait_s(1) == pytest.approx(1.0)
        await asyncio.sleep(1.0)
        assert bucket.take(1)
        assert not bucket.take(1)

    async def test_what_is_larger_needs_an_empty_bucket(self) -> None:
        """It is taken whole, once nothing else is in."""
        bucket = Bucket(60, burst=2)
        assert bucket.take(1)
        assert not bucket.take(5)
        assert bucket.wait_s(5) == pytest.approx(1.0)
        await asyncio.sleep(1.0)
        assert bucket.take(5)
        assert bucket.free == -3.0

    async def test_giving_back_never_makes_room_that_was_not(self) -> None:
        """A refund larger than the level leaves an empty bucket, not a larger one."""
        bucket = Bucket(60, burst=2)
        bucket.charge(-100)
        assert bucket.free == 2.0

    async def test_debt_is_bounded(self) -> None:
        """However much is charged, a minute later there is room."""
        bucket = Bucket(60, burst=2)
        bucket.charge(10**15)
        await asyncio.sleep(61.0)
        assert bucket.take(1)

    async def test_new_rate_keeps_what_is_in(self) -> None:
        """A change of rate is no refill."""
        bucket = Bucket(60, burst=2)
        assert bucket.take(2)
        bucket.set_rate(600, burst=10)
        assert (bucket.per_min, bucket.free) == (600.0, 8.0)
        bucket.set_rate(6, burst=1)
        assert bucket.wait_s(1) == pytest.approx(20.0)
