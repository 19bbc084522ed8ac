"""After a failure: whether another client may do better, and what the caller learns in the end."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from dspex.clients.failures.rules import rule_for
from dspex.errors import Attempt, ErrorData, ErrorKind, ProviderError, to_exception

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dspex.clients.routing.candidate import Candidate

__all__ = ("attempts_of", "final_error", "may_fail_over", "roomier")

_NOT_FOUND: Final = 404


def may_fail_over(error: ErrorData) -> bool:
    """Tell whether the next client is worth asking after `error`.

    Beyond what the table of failures says: a model that is not there may be elsewhere; a prompt
    that is too long may fit another; and who used up its own share of the time leaves the rest.
    """
    if error.kind in (ErrorKind.CONTEXT_WINDOW, ErrorKind.DEADLINE):
        return True

    return error.status == _NOT_FOUND or rule_for(error).failover


def roomier(candidates: Sequence[Candidate], context_tokens: int | None) -> list[Candidate]:
    """Return those whose context is known to be longer than the one a prompt did not fit."""
    return [
        candidate
        for candidate in candidates
        if context_tokens is not None
        and candidate.context_tokens is not None
        and candidate.context_tokens > context_tokens
    ]


def attempts_of(error: ErrorData, name: str, latency_s: float) -> tuple[Attempt, ...]:
    """Return the tries behind a client's error; one that ended without any is a try itself."""
    if error.attempts and error.kind is not ErrorKind.DEADLINE:
        return error.attempts

    own = Attempt(name, replace(error, attempts=()), latency_s=latency_s)
    return (*error.attempts, own)


def final_error(errors: Sequence[ErrorData], attempts: tuple[Attempt, ...]) -> ProviderError:
    """Return what the caller learns when nobody is left to ask.

    It is the last failure that says something. Only when every breaker is open is it that, with the
    time of the first that will let a call through: whoever runs many calls waits for it then.
    """
    told = [error for error in errors if error.kind is not ErrorKind.CIRCUIT_OPEN]
    if told:
        return to_exception(replace(told[-1], attempts=attempts))

    known = [error for error in errors if error.retry_after_s is not None]
    soonest = min(known, key=lambda error: error.retry_after_s or 0.0, default=errors[-1])
    return to_exception(replace(soonest, attempts=attempts))
