"""Scripts: checked when made, the same through JSON, and deterministic."""

from __future__ import annotations

import statistics
from typing import Any

import pytest
from hypothesis import given, strategies as st

from dspex.errors import SandboxError
from dspex.sandbox.script import (
    FAULTS,
    Faults,
    Latency,
    Plan,
    RateLimit,
    RateWindow,
    Script,
    admit,
)

seconds = st.floats(0, 100)
shares = st.lists(st.floats(0, 1 / len(FAULTS)), min_size=len(FAULTS), max_size=len(FAULTS))
scripts = st.builds(
    Script,
    seed=st.integers(0, 2**31),
    latency=st.builds(Latency, median_s=seconds, sigma=st.floats(0, 3), max_s=seconds),
    faults=shares.map(lambda values: Faults(**dict(zip(FAULTS, values, strict=True)))),
    rate_limit=st.none()
    | st.builds(RateLimit, requests=st.integers(1, 9), window_s=st.floats(0.001, 60)),
    opening=st.lists(st.sampled_from([*FAULTS, "ok"]), max_size=5).map(tuple),
    answer=st.none() | st.text(max_size=20),
    chunk_interval_s=seconds,
    retry_after_s=seconds,
    stall_s=seconds,
)


class TestJson:
    @given(scripts)
    def test_round_trip(self, script: Script) -> None:
        """A script comes back from JSON as an equal value."""
        assert Script.from_json(script.to_json()) == script

    def test_what_is_left_out_keeps_its_default(self) -> None:
        """An empty object is the default script."""
        assert Script.from_json("{}") == Script()
        assert Script.from_json(b'{"latency": {"median_s": 2}}').latency == Latency(median_s=2)

    @pytest.mark.parametrize(
        ("text", "said"),
        [
            ("{", "not JSON"),
            ("[]", r"script: expected a JSON object, got \[\]"),
            ('{"latencey": {}}', "script: unknown key 'latencey'; known keys: seed, latency"),
            ('{"latency": 3}', "latency: expected a JSON object, got 3"),
            ('{"latency": {"median": 3}}', "latency: unknown key 'median'"),
            ('{"latency": {"median_s": "3"}}', "latency.median_s: expected a finite number"),
            ('{"latency": null}', "latency: expected Latency, got None"),
            ('{"faults": {"reset": 1.5}}', "faults.reset: must be between 0 and 1, got 1.5"),
            ('{"faults": {"reset": true}}', "faults.reset: expected a finite number, got True"),
            ('{"faults": {"cut": 0.6, "stall": 0.6}}', "faults: the shares add up to 1.2"),
            ('{"faults": {"explode": 1}}', "faults: unknown key 'explode'"),
            ('{"rate_limit": {}}', "rate_limit: .*requests.*; got {}"),
            ('{"rate_limit": {"requests": 0}}', "rate_limit.requests: .*at least 1, got 0"),
            ('{"rate_limit": {"requests": 1, "window_s": 0}}', "rate_limit.window_s: must be at"),
            ('{"opening": ["ok", "boom"]}', "opening: unknown fault 'boom'; known: ok, rate"),
            ('{"opening": "ok"}', "opening: expected tuple, got 'ok'"),
            ('{"answer": 5}', "answer: expected str or NoneType, got 5"),
            ('{"seed": -1}', "seed: expected an integer of at least 0, got -1"),
            ('{"seed": 1.5}', "seed: expected an integer"),
            ('{"stall_s": -0.1}', "stall_s: must be at least 0, got -0.1"),
        ],
    )
    def test_bad_value_is_named(self, text: str, said: str) -> None:
        """The error names the key, shows the value and says what would do."""
        with pytest.raises(SandboxError, match=said):
            Script.from_json(text)

    @pytest.mark.parametrize("value", [float("nan"), float("inf"), -1, "1", None])
    def test_bad_time_is_refused_in_python_too(self, value: Any) -> None:
        """A value cannot be built wrong either."""
        with pytest.raises(SandboxError, match=r"latency\.median_s"):
            Latency(median_s=value)


class TestPlan:
    @given(scripts, st.integers(0, 10**9))
    def test_same_number_same_plan(self, script: Script, number: int) -> None:
        """A plan follows from seed and number alone, and its latency stays within the bound."""
        plan = script.plan(number)
        assert plan == Script.from_json(script.to_json()).plan(number)
        assert 0 <= plan.latency_s <= script.latency.max_s

    def test_seeds_differ(self) -> None:
        """Another seed spreads the same share over other requests."""
        faults = Faults(reset=0.5)
        plans = [[Script(seed=s, faults=faults).plan(n) for n in range(50)] for s in (0, 1)]
        assert plans[0] != plans[1]

    def test_shares_are_met(self) -> None:
        """Each fault meets its share of many requests, and the rest is served."""
        script = Script(faults=Faults(rate_limited=0.2, cut=0.1))
        met = [script.plan(number).fault for number in range(5000)]
        assert met.count("rate_limited") / 5000 == pytest.approx(0.2, abs=0.03)
        assert met.count("cut") / 5000 == pytest.approx(0.1, abs=0.03)
        assert met.count(None) / 5000 == pytest.approx(0.7, abs=0.03)

    @pytest.mark.parametrize("name", FAULTS)
    def test_share_of_one_meets_all(self, name: str) -> None:
        """A share of 1 leaves nothing unharmed."""
        script = Script(faults=Faults(**{name: 1.0}))
        assert {script.plan(number).fault for number in range(200)} == {name}

    def test_opening_comes_first(self) -> None:
        """The first requests meet what the opening lists, later ones the shares."""
        script = Script(opening=("reset", "ok"), faults=Faults(cut=1.0))
        assert [script.plan(n).fault for n in range(4)] == ["reset", None, "cut", "cut"]

    def test_fixed_latency(self) -> None:
        """Without sigma every request takes the median."""
        script = Script(latency=Latency(median_s=0.25))
        assert [script.plan(n) for n in range(3)] == [Plan(0.25, None)] * 3

    def test_log_normal_latency(self) -> None:
        """With sigma the median holds, and the cap cuts the tail."""
        script = Script(latency=Latency(median_s=1.0, sigma=1.0, max_s=5.0))
        drawn = [script.plan(n).latency_s for n in range(4000)]
        assert statistics.median(drawn) == pytest.approx(1.0, abs=0.1)
        assert max(drawn) == 5.0
        assert len(set(drawn)) > 3000


class TestAdmit:
    LIMIT = RateLimit(requests=2, window_s=10.0)

    def test_window(self) -> None:
        """Two pass, the third is told to wait for the rest of the window, then two pass again."""
        window, waits = RateWindow(), list[float]()
        for now_s in (100.0, 101.0, 104.0, 110.0, 111.0, 112.0):
            window, wait_s = admit(self.LIMIT, window, now_s)
            waits.append(wait_s)

        assert waits == [0, 0, 6.0, 0, 0, 8.0]

    @given(st.lists(st.floats(0, 5), max_size=60))
    def test_never_more_than_the_limit_in_a_window(self, gaps: list[float]) -> None:
        """Whoever waits as told gets through, and no window admits more than its limit."""
        window, now_s = RateWindow(), 0.0
        admitted: dict[float, int] = {}
        for gap in gaps:
            now_s += gap
            window, wait_s = admit(self.LIMIT, window, now_s)
            if wait_s:
                now_s += wait_s + 1e-6
                window, wait_s = admit(self.LIMIT, window, now_s)

            assert wait_s == 0
            admitted[window.opened_at_s] = window.admitted

        assert all(count <= self.LIMIT.requests for count in admitted.values())
