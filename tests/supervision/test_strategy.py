"""The planner: what an event means, without doing it."""

from __future__ import annotations

import pytest
from hypothesis import given, strategies as st

from supervision import (
    AutoShutdown,
    Crash,
    Escalate,
    Killed,
    Normal,
    Reason,
    Restart,
    Shutdown,
    Strategy,
)
from supervision.spec import BRUTAL_KILL
from supervision.strategy import (
    Attempt,
    ChildView,
    Exited,
    Halt,
    Remove,
    Retry,
    Start,
    State,
    Stop,
    is_reported,
    is_shutdown_error,
    needs_restart,
    plan,
)

NEVER = AutoShutdown.NEVER
CRASH = Crash(ValueError("bug"))
P, T, X = Restart.PERMANENT, Restart.TRANSIENT, Restart.TEMPORARY


def children(*rows: tuple[str, Restart]) -> list[ChildView]:
    """Return running children."""
    return [ChildView(id, restart, State.RUNNING) for id, restart in rows]


@pytest.mark.parametrize(
    ("restart", "reason", "restarted", "reported"),
    [
        (P, Normal(), True, True),
        (P, Shutdown("x"), True, True),
        (P, CRASH, True, True),
        (T, Normal(), False, False),
        (T, Shutdown(), False, False),
        (T, CRASH, True, True),
        (T, Killed(), True, True),
        (X, Normal(), False, False),
        (X, CRASH, False, True),
        (X, Killed(), False, True),
    ],
)
def test_restart_decision(
    restart: Restart, reason: Reason, restarted: bool, reported: bool
) -> None:
    """1.3, R01, L02: the table of exit reason against restart type."""
    assert needs_restart(restart, reason) is restarted
    assert is_reported(restart, reason) is reported


@pytest.mark.parametrize(
    ("restart", "shutdown", "reason", "error"),
    [
        (P, 5.0, Shutdown(), False),
        (P, 5.0, Normal(), True),
        (P, 5.0, Shutdown("x"), True),
        (T, 5.0, Normal(), False),
        (T, 5.0, Shutdown("x"), False),
        (P, 5.0, Killed(), True),
        (P, BRUTAL_KILL, Killed(), False),
        (X, 5.0, CRASH, True),
    ],
)
def test_shutdown_error(restart: Restart, shutdown: float, reason: Reason, error: bool) -> None:
    """K03: which ends of a child that was told to stop are reported."""
    assert is_shutdown_error(restart, shutdown, reason) is error


class TestStrategies:
    VIEWS = children(("a", P), ("b", P), ("x", X), ("c", T))

    @pytest.mark.parametrize(
        ("strategy", "expected"),
        [
            (Strategy.ONE_FOR_ONE, (Attempt("b"), Start(("b",), "b"))),
            (
                Strategy.REST_FOR_ONE,
                (Attempt("b"), Stop(("c", "x")), Remove(("x",)), Start(("b", "c"), "b")),
            ),
            (
                Strategy.ONE_FOR_ALL,
                (Attempt("b"), Stop(("c", "x", "a")), Remove(("x",)), Start(("a", "b", "c"), "b")),
            ),
        ],
    )
    def test_crash(self, strategy: Strategy, expected: object) -> None:
        """T01, T02, T03, R03, I03: who stops, who goes, who starts; counted once."""
        assert plan(strategy, NEVER, self.VIEWS, Exited("b", CRASH)) == expected

    def test_retry_is_planned_like_the_exit(self) -> None:
        """F03, F04: a retry concerns the same children, and counts unless it is counted."""
        views = [
            ChildView("a", P, State.RUNNING),
            ChildView("b", P, State.RESTARTING),
            ChildView("c", P, State.UNDEFINED),
        ]
        rest = (Start(("b", "c"), "b"),)
        assert plan(Strategy.REST_FOR_ONE, NEVER, views, Retry("b")) == (Attempt("b"), *rest)
        assert plan(Strategy.REST_FOR_ONE, NEVER, views, Retry("b", counted=True)) == rest

    def test_temporary_goes(self) -> None:
        """1.3, V4: a temporary child is never restarted and its spec goes."""
        assert plan(Strategy.ONE_FOR_ALL, NEVER, self.VIEWS, Exited("x", CRASH)) == (
            Remove(("x",)),
        )

    def test_transient_stays_where_it_ended_normally(self) -> None:
        """1.3: the spec of a transient child that ended normally is kept."""
        assert plan(Strategy.ONE_FOR_ALL, NEVER, self.VIEWS, Exited("c", Normal())) == ()

    def test_escalation_halts(self) -> None:
        """Pitfall 12: a request to exit ends the supervisor, whatever the restart type."""
        reason = Escalate(SystemExit(1))
        assert plan(Strategy.ONE_FOR_ONE, NEVER, self.VIEWS, Exited("x", reason)) == (Halt(reason),)

    @given(
        strategy=st.sampled_from(Strategy),
        restarts=st.lists(st.sampled_from(Restart), min_size=1, max_size=6),
        data=st.data(),
    )
    def test_plans_hold_the_invariants(
        self, strategy: Strategy, restarts: list[Restart], data: st.DataObject
    ) -> None:
        """V2, V4, V8: stops in reverse order, starts in order, no temporary; always the same."""
        views = children(*((str(n), restart) for n, restart in enumerate(restarts)))
        dead = data.draw(st.sampled_from(views))
        reasons: list[Reason] = [Normal(), CRASH, Killed()]
        reason = data.draw(st.sampled_from(reasons))
        actions = plan(strategy, NEVER, views, Exited(dead.id, reason))
        assert actions == plan(strategy, NEVER, list(views), Exited(dead.id, reason))
        starts = [id for action in actions if isinstance(action, Start) for id in action.ids]
        stops = [id for action in actions if isinstance(action, Stop) for id in action.ids]
        assert starts == sorted(starts, key=str)
        assert stops == sorted(stops, key=str, reverse=True)
        assert dead.id not in stops
        temporary = {view.id for view in views if view.restart is X}
        assert not temporary & set(starts)
        assert (dead.id in starts) == needs_restart(dead.restart, reason)


class TestAutoShutdown:
    VIEWS = (
        ChildView("a", T, State.RUNNING, significant=True),
        ChildView("b", X, State.RUNNING, significant=True),
        ChildView("c", P, State.RUNNING),
    )

    def test_any_significant(self) -> None:
        """A01: the first significant child that ends for good ends the supervisor."""
        any_ = AutoShutdown.ANY_SIGNIFICANT
        one = Strategy.ONE_FOR_ONE
        assert plan(one, any_, self.VIEWS, Exited("a", Normal())) == (Halt(Shutdown()),)
        assert plan(one, any_, self.VIEWS, Exited("b", CRASH)) == (
            Remove(("b",)),
            Halt(Shutdown()),
        )

    def test_abnormal_end_of_a_transient_is_a_restart(self) -> None:
        """A03: a transient child that crashes restarts and ends nothing."""
        actions = plan(
            Strategy.ONE_FOR_ONE, AutoShutdown.ANY_SIGNIFICANT, self.VIEWS, Exited("a", CRASH)
        )
        assert actions == (Attempt("a"), Start(("a",), "a"))

    def test_insignificant_ends_nothing(self) -> None:
        """A01: children that are not significant do not matter."""
        views = [*self.VIEWS, ChildView("d", T, State.RUNNING)]
        auto = AutoShutdown.ANY_SIGNIFICANT
        assert plan(Strategy.ONE_FOR_ONE, auto, views, Exited("d", Normal())) == ()

    @pytest.mark.parametrize(
        ("other", "halts"),
        [(State.RUNNING, False), (State.RESTARTING, False), (State.UNDEFINED, True)],
    )
    def test_all_significant(self, other: State, halts: bool) -> None:
        """A02: the last active significant child ends it; a restarting one is active."""
        views = [ChildView("a", T, other, significant=True), *self.VIEWS[1:]]
        actions = plan(
            Strategy.ONE_FOR_ONE, AutoShutdown.ALL_SIGNIFICANT, views, Exited("b", Normal())
        )
        assert (Halt(Shutdown()) in actions) is halts
