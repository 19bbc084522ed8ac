"""The types that aiobreaker does not ship, against what it ships."""

from __future__ import annotations

import inspect

import aiobreaker
from aiobreaker import listener, state
from aiobreaker.storage import memory

from dspex.clients.breaker import circuit as circuit


class TestCircuit:
    def test_names_are_those_of_aiobreaker(self) -> None:
        """Each name is the library's own object."""
        theirs = {**vars(memory), **vars(listener), **vars(state), **vars(aiobreaker)}
        assert all(getattr(circuit, name) is theirs[name] for name in circuit.__all__)

    def test_constructor_takes_what_is_passed(self) -> None:
        """The arguments that we pass exist by name."""
        taken = set(inspect.signature(circuit.CircuitBreaker).parameters)
        assert {"fail_max", "timeout_duration", "listeners", "state_storage", "name"} <= taken
