"""Child specs and flags: defaults, and what is refused."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, strategies as st

from supervision import (
    BRUTAL_KILL,
    Actor,
    AutoShutdown,
    Backoff,
    ChildSpec,
    DynamicSupervisor,
    InvalidSpec,
    Restart,
    Supervisor,
    check_childspecs,
)
from supervision.spec import Flags


async def body() -> None:
    """Be a child."""


def spec(**options: Any) -> ChildSpec:
    """Return a spec with one thing changed."""
    return ChildSpec(**{"id": "it", "start": body, **options})


class TestDefaults:
    def test_worker(self) -> None:
        """C02, C03: permanent worker, not significant, 5 s to stop."""
        filled = spec().filled()
        assert (filled.restart, filled.type, filled.shutdown) == (Restart.PERMANENT, "worker", 5.0)
        assert filled.significant is False

    @pytest.mark.parametrize("start", [Supervisor.child(), DynamicSupervisor.child()])
    def test_supervisor(self, start: Callable[..., object]) -> None:
        """C02, C03: a supervisor has all the time it needs to stop its children."""
        filled = spec(start=start).filled()
        assert (filled.type, filled.shutdown) == ("supervisor", math.inf)

    def test_actor(self) -> None:
        """C02: an actor is a worker."""
        assert spec(start=Actor).filled().type == "worker"

    def test_flags(self) -> None:
        """S01, D7: the defaults are Elixir's."""
        flags = Flags()
        assert (flags.strategy, flags.intensity, flags.period) == ("one_for_one", 3, 5.0)
        assert flags.auto_shutdown == "never"


class TestChildSpecs:
    @pytest.mark.parametrize(
        ("options", "code"),
        [
            ({"id": None}, "missing_id"),
            ({"id": None, "start": None}, "missing_id"),
            ({"start": None}, "missing_start"),
            ({"restart": "sometimes"}, "invalid_restart_type"),
            ({"type": "boss"}, "invalid_child_type"),
            ({"shutdown": -10}, "invalid_shutdown"),
            ({"shutdown": True}, "invalid_shutdown"),
            ({"shutdown": math.nan}, "invalid_shutdown"),
            ({"significant": "yes"}, "invalid_significant"),
            ({"significant": True}, "bad_combination"),
            ({"start_timeout": 0}, "invalid_start_timeout"),
            ({"backoff": Backoff(min=2, max=1)}, "invalid_backoff"),
            ({"backoff": Backoff(jitter=2)}, "invalid_backoff"),
            ({"backoff": Backoff(factor=0.5)}, "invalid_backoff"),
        ],
    )
    def test_wrong_specs_are_named(self, options: dict[str, Any], code: str) -> None:
        """C01, C03, C06: each mistake has OTP's name, and names the child and the field."""
        with pytest.raises(InvalidSpec) as error:
            check_childspecs([spec(**options)], AutoShutdown.ANY_SIGNIFICANT)

        assert error.value.code == code
        assert error.value.field in str(error.value)

    @pytest.mark.parametrize("shutdown", [0, 5.0, math.inf, BRUTAL_KILL, None])
    @pytest.mark.parametrize("kind", ["worker", "supervisor"])
    def test_legal_shutdowns(self, shutdown: Any, kind: Any) -> None:
        """C03, C04: any time is legal for a worker and for a supervisor."""
        check_childspecs([spec(shutdown=shutdown, type=kind)])

    def test_significant_needs_auto_shutdown(self) -> None:
        """C06: a significant child makes no sense where the supervisor never shuts down."""
        significant = spec(significant=True, restart=Restart.TRANSIENT)
        check_childspecs([significant], AutoShutdown.ALL_SIGNIFICANT)
        with pytest.raises(InvalidSpec, match="bad_combination"):
            check_childspecs([significant])

    def test_ids_are_unique(self) -> None:
        """C07, C09: two specs with one id are refused, also without a supervisor."""
        with pytest.raises(InvalidSpec, match="duplicate_child_name"):
            check_childspecs([spec(), spec()])

    async def test_nothing_starts_if_one_spec_is_bad(self) -> None:
        """C07, C08: a bad spec fails the start of the supervisor before any child starts."""
        started: list[str] = []

        async def note() -> None:
            started.append("it")

        with pytest.raises(InvalidSpec):
            async with Supervisor([spec(start=note), spec(id="bad", shutdown=-1)]):
                pytest.fail("the block must not run")

        assert started == []

    async def test_bad_spec_at_run_time_is_an_error_only(self) -> None:
        """C08: through start_child a bad spec is an error of the request, and nothing else."""
        async with Supervisor() as root:
            with pytest.raises(InvalidSpec):
                await root.start_child(spec(shutdown=-1))

            assert root.alive
            assert root.which_children() == []


class TestFlags:
    @pytest.mark.parametrize(
        ("options", "code"),
        [
            ({"strategy": "one_for_two"}, "invalid_strategy"),
            ({"intensity": -1}, "invalid_intensity"),
            ({"intensity": math.inf}, "invalid_intensity"),
            ({"intensity": True}, "invalid_intensity"),
            ({"period": 0}, "invalid_period"),
            ({"period": math.inf}, "invalid_period"),
            ({"auto_shutdown": "always"}, "invalid_auto_shutdown"),
        ],
    )
    async def test_wrong_flags_are_named(self, options: dict[str, Any], code: str) -> None:
        """S02: a wrong flag fails the start of the supervisor."""
        with pytest.raises(InvalidSpec) as error:
            async with Supervisor(**options):
                pytest.fail("the block must not run")

        assert error.value.code == code

    async def test_dynamic_refuses_significant(self) -> None:
        """T07: a dynamic supervisor knows no significant children."""
        async with DynamicSupervisor() as root:
            with pytest.raises(InvalidSpec, match="invalid_significant"):
                await root.start_child(spec(significant=True, restart=Restart.TEMPORARY))


class TestBackoff:
    @given(
        attempt=st.integers(1, 10_000),
        random=st.floats(0, 1, exclude_max=True),
        jitter=st.floats(0, 1),
    )
    def test_stays_within_its_bounds(self, attempt: int, random: float, jitter: float) -> None:
        """D8d: no wait exceeds the maximum, however many attempts there were."""
        backoff = Backoff(min=0.5, max=30.0, jitter=jitter)
        assert 0 <= backoff.delay(attempt, random) <= 30.0

    def test_grows_by_its_factor(self) -> None:
        """D8d: waits grow geometrically to the maximum."""
        backoff = Backoff(min=1, max=10, factor=3)
        assert [backoff.delay(n, 0.0) for n in (1, 2, 3, 4)] == [1, 3, 9, 10]

    def test_forgets_after_a_long_life(self) -> None:
        """D8d: a life of `reset_after`, by default `max`, ends the row."""
        assert Backoff(max=30).forgets(30.0)
        assert not Backoff(max=30).forgets(29.0)
        assert Backoff(max=30, reset_after=5).forgets(6.0)
