"""Scripts: checked when made, the same through JSON, and deterministic."""

from __future__ import annotations

import statistics
from typing import Any

import pytest
from hypothesis import given, strategies as st

from dspex.errors import SandboxError
from dspex.sandbox import (
    FAULTS,
    Batching,
    Damage,
    Faults,
    Latency,
    RateLimit,
    Reasoning,
    RetryHint,
    Script,
    ScriptedCall,
    Streaming,
    ToolTurn,
)
from dspex.sandbox.script import Plan, known_keys
from dspex.sandbox.wires import RETRY_FORMS

seconds = st.floats(0, 100)
shares = st.lists(st.floats(0, 1 / len(FAULTS)), min_size=len(FAULTS), max_size=len(FAULTS))
scripts = st.builds(
    Script,
    seed=st.integers(0, 2**31),
    latency=st.builds(Latency, median_s=seconds, sigma=st.floats(0, 3), max_s=seconds),
    faults=shares.map(lambda values: Faults(**dict(zip(FAULTS, values, strict=True)))),
    rate_limit=st.none()
    | st.builds(
        RateLimit,
        requests=st.integers(1, 9),
        window_s=st.floats(0.001, 60),
        tokens=st.none() | st.integers(1, 9),
    ),
    opening=st.lists(st.sampled_from([*FAULTS, "ok"]), max_size=5).map(tuple),
    answer=st.none() | st.text(max_size=20),
    chunk_interval_s=seconds,
    retry_after_s=seconds,
    stall_s=seconds,
    stream=st.builds(Streaming, chunk_tokens=st.integers(1, 9), tokens_per_s=seconds),
    retry=st.builds(
        RetryHint,
        form=st.sampled_from(RETRY_FORMS),
        should_retry=st.none() | st.booleans(),
    ),
    damage=st.builds(Damage, after_tokens=st.none() | st.integers(0, 9)),
    reasoning=st.builds(Reasoning, text=st.text(max_size=9)),
    tool_calls=st.lists(
        st.builds(
            ToolTurn,
            st.text(max_size=9),
            st.lists(
                st.builds(ScriptedCall, st.text(max_size=9), st.just({"a": [1]})), max_size=2
            ).map(tuple),
        ),
        max_size=2,
    ).map(tuple),
    batch=st.builds(
        Batching,
        finish_s=seconds,
        failed=st.floats(0, 1),
        opening=st.just(("ok", "reset")),
    ),
    cached_share=st.floats(0, 1),
    max_in_flight=st.none() | st.integers(1, 9),
    api_key=st.none() | st.text(max_size=9),
    models=st.lists(st.text(max_size=9), max_size=2).map(tuple),
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
            ('{"rate_limit": {}}', "rate_limit: give requests, tokens or both"),
            ('{"rate_limit": {"tokens": 0}}', "rate_limit.tokens: .*at least 1, got 0"),
            ('{"rate_limit": {"requests": 0}}', "rate_limit.requests: .*at least 1, got 0"),
            ('{"rate_limit": {"requests": 1, "window_s": 0}}', "rate_limit.window_s: must be at"),
            ('{"opening": ["ok", "boom"]}', "opening: unknown fault 'boom'; known: ok, rate"),
            ('{"opening": "ok"}', "opening: expected tuple, got 'ok'"),
            ('{"answer": 5}', "answer: expected str or NoneType, got 5"),
            ('{"seed": -1}', "seed: expected an integer of at least 0, got -1"),
            ('{"seed": 1.5}', "seed: expected an integer"),
            ('{"stall_s": -0.1}', "stall_s: must be at least 0, got -0.1"),
            ('{"stream": {"chunk_tokens": 0}}', "stream.chunk_tokens: .*at least 1, got 0"),
            ('{"stream": {"tokens_per_s": -1}}', "stream.tokens_per_s: must be at least 0"),
            ('{"retry": {"form": "fax"}}', "retry.form: expected one of wire, seconds"),
            ('{"retry": {"should_retry": 1}}', "retry.should_retry: expected bool"),
            ('{"damage": {"after_tokens": -1}}', "damage.after_tokens: .*at least 0"),
            ('{"damage": {"drip_bytes": 0}}', "damage.drip_bytes: .*at least 1"),
            ('{"reasoning": {"field": "mind"}}', "reasoning.field: expected one of reasoning_c"),
            ('{"batch": {"failed": 2}}', "batch.failed: must be between 0 and 1, got 2"),
            ('{"batch": {"opening": ["x"]}}', "batch.opening: unknown fault 'x'"),
            ('{"tool_calls": {}}', "tool_calls: expected tuple, got {}"),
            ('{"tool_calls": [5]}', r"tool_calls\[0\]: expected a JSON object, got 5"),
            ('{"tool_calls": [{"call": []}]}', r"tool_calls\[0\]: unknown key 'call'"),
            ('{"tool_calls": [{"calls": [{}]}]}', r"calls\[0\]: .*name"),
            ('{"tool_calls": [{"calls": [{"name": 3}]}]}', "calls: name: expected str, got 3"),
            ('{"models": [3]}', "models: expected str, got 3"),
            ('{"max_in_flight": 0}', "max_in_flight: .*at least 1, got 0"),
            ('{"cached_share": 1.5}', "cached_share: must be between 0 and 1"),
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

    def test_known_keys(self) -> None:
        """Every key that the command line names can be left at its default by that name."""
        assert {"latency", "tool_calls", "batch"} <= set(known_keys())
        assert all(hasattr(Script(), key) for key in known_keys())


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
