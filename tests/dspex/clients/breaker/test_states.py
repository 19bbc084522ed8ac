"""The states of a breaker."""

from __future__ import annotations

from aiobreaker.state import CircuitClosedState, CircuitHalfOpenState, CircuitOpenState

from dspex.clients.breaker.circuit import CircuitBreakerState
from dspex.clients.breaker.states import STATES


class TestStates:
    def test_each_state_of_aiobreaker_has_one_of_ours(self) -> None:
        """Each derives from the library's own, so that its machinery knows it."""
        assert set(STATES) == set(CircuitBreakerState)
        assert issubclass(STATES[CircuitBreakerState.CLOSED], CircuitClosedState)
        assert issubclass(STATES[CircuitBreakerState.OPEN], CircuitOpenState)
        assert issubclass(STATES[CircuitBreakerState.HALF_OPEN], CircuitHalfOpenState)

    def test_names_are_those_that_people_read(self) -> None:
        """Statistics and events use these words."""
        assert {state.name for state in STATES.values()} == {"closed", "open", "half_open"}
