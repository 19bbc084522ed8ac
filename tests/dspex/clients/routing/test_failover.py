"""After which failures another client is asked, and what the caller learns in the end."""

from __future__ import annotations

import pytest

from dspex.clients.routing.candidate import Candidate
from dspex.clients.routing.failover import (
    attempts_of,
    final_error,
    may_fail_over,
    roomier,
)
from dspex.errors import Attempt, CircuitOpen, ErrorData, ErrorKind, ServerError


def error(kind: ErrorKind, **fields: object) -> ErrorData:
    return ErrorData(kind, "no", **fields)  # type: ignore[arg-type]  # a test's short hand


class TestMayFailOver:
    @pytest.mark.parametrize(
        "kind",
        [
            ErrorKind.RATE_LIMIT,
            ErrorKind.QUOTA_EXHAUSTED,
            ErrorKind.SERVER,
            ErrorKind.TRANSPORT,
            ErrorKind.TIMEOUT,
            ErrorKind.AUTH,
            ErrorKind.CONTEXT_WINDOW,
            ErrorKind.PROTOCOL,
            ErrorKind.CIRCUIT_OPEN,
            ErrorKind.ENDPOINT,
            ErrorKind.DEADLINE,
            ErrorKind.POOL,
        ],
    )
    def test_another_may_do_better(self, kind: ErrorKind) -> None:
        """Where it was the provider's fault, or where its limits are another's no limits."""
        assert may_fail_over(error(kind))

    @pytest.mark.parametrize(
        "kind",
        [
            ErrorKind.INVALID_REQUEST,
            ErrorKind.TOO_LARGE,
            ErrorKind.CONTENT_FILTER,
            ErrorKind.BUDGET,
        ],
    )
    def test_another_would_say_the_same(self, kind: ErrorKind) -> None:
        """Where the request was at fault, or the purse is empty."""
        assert not may_fail_over(error(kind))

    def test_a_model_that_is_not_there_may_be_elsewhere(self) -> None:
        """Though the request was wrong for this one."""
        assert may_fail_over(error(ErrorKind.INVALID_REQUEST, status=404))


def test_only_a_longer_context_is_roomier() -> None:
    """What is not known is not longer."""
    view = [Candidate(0, context_tokens=5), Candidate(1, context_tokens=9), Candidate(2)]

    assert [view[1]] == roomier(view, 5)
    assert [] == roomier(view, None)


class TestAccounts:
    def test_tries_are_listed_once(self) -> None:
        """A client's error has them all, but for one that ended by its deadline."""
        first = Attempt("a", error(ErrorKind.SERVER))
        failed = error(ErrorKind.SERVER, attempts=(first,))
        late = error(ErrorKind.DEADLINE, attempts=(first,))

        assert (first,) == attempts_of(failed, "a", 1.0)
        assert (first, Attempt("a", error(ErrorKind.DEADLINE), latency_s=1.0)) == attempts_of(
            late, "a", 1.0
        )


class TestFinalError:
    def test_an_open_breaker_tells_less_than_a_failure(self) -> None:
        """The last one that says something is told."""
        errors = [error(ErrorKind.SERVER), error(ErrorKind.CIRCUIT_OPEN, retry_after_s=3.0)]

        assert isinstance(final_error(errors, ()), ServerError)

    def test_when_all_are_open_the_first_to_close_counts(self) -> None:
        """Whoever waits for the outage to end need not wait for the slowest."""
        errors = [
            error(ErrorKind.CIRCUIT_OPEN, retry_after_s=30.0),
            error(ErrorKind.CIRCUIT_OPEN, retry_after_s=4.0),
            error(ErrorKind.CIRCUIT_OPEN),
        ]
        found = final_error(errors, ())

        assert isinstance(found, CircuitOpen)
        assert 4.0 == found.data.retry_after_s
