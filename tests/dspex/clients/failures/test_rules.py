"""The table of failures: complete, and with its exceptions."""

from __future__ import annotations

import pytest

from dspex.clients.failures.rules import FOREIGN, RULES, rule_for
from dspex.errors import ErrorData, ErrorKind


class TestRules:
    def test_every_kind_has_one(self) -> None:
        """No kind of failure is without an answer."""
        assert set(RULES) == set(ErrorKind)

    def test_table_cannot_be_changed(self) -> None:
        """It is data for everybody, not a setting."""
        with pytest.raises(TypeError):
            RULES[ErrorKind.AUTH] = RULES[ErrorKind.SERVER]  # type: ignore[index]  # what is tested

    @pytest.mark.parametrize("kind", list(ErrorKind))
    def test_request_at_fault_is_never_repeated(self, kind: ErrorKind) -> None:
        """Where the request is wrong, neither waiting nor another endpoint nor a breaker helps."""
        rule = RULES[kind]
        if not ErrorData(kind, "x").unavailable:
            assert rule.retry == "no"
            assert not rule.failover
            assert rule.breaker in ("ignore", "success")

    @pytest.mark.parametrize("kind", list(ErrorKind))
    def test_tripping_has_a_time(self, kind: ErrorKind) -> None:
        """A rule that trips the breaker says for how long, and only such a rule."""
        assert (RULES[kind].trip_s > 0) == (RULES[kind].breaker == "trip")

    @pytest.mark.parametrize("kind", [ErrorKind.RATE_LIMIT, ErrorKind.POOL, ErrorKind.DEADLINE])
    def test_own_limits_do_not_open_the_breaker(self, kind: ErrorKind) -> None:
        """What is ours, or a polite refusal, is not the endpoint's ill health."""
        assert RULES[kind].breaker == "ignore"


class TestRuleFor:
    def test_kind_decides(self) -> None:
        """Without special facts it is the table's rule."""
        assert rule_for(ErrorData(ErrorKind.SERVER, "x", status=500)) is RULES[ErrorKind.SERVER]

    def test_conflict_is_not_ill_health(self) -> None:
        """A 409 is retried and judges nothing."""
        rule = rule_for(ErrorData(ErrorKind.SERVER, "x", status=409))
        assert (rule.retry, rule.breaker) == ("backoff", "ignore")

    def test_first_stale_socket_judges_nothing(self) -> None:
        """A connection the server had closed while idle says nothing about it."""
        stale = ErrorData(ErrorKind.TRANSPORT, "x", stale_socket=True)
        assert rule_for(stale, failures=1).breaker == "ignore"

    def test_second_stale_socket_is_a_failure(self) -> None:
        """A server that resets every connection is down, or no breaker would ever open."""
        stale = ErrorData(ErrorKind.TRANSPORT, "x", stale_socket=True)
        assert rule_for(stale, failures=2).breaker == "failure"

    def test_a_page_of_a_proxy_is_not_the_providers_word_on_a_key(self) -> None:
        """Tried once more, and counted: a single page must not close an endpoint for a minute."""
        page = rule_for(ErrorData(ErrorKind.AUTH, "x", status=403, code=FOREIGN))
        real = rule_for(ErrorData(ErrorKind.AUTH, "x", status=403, code="permission_denied"))
        assert (page.retry, page.breaker) == ("once", "failure")
        assert (real.retry, real.breaker) == ("no", "trip")
